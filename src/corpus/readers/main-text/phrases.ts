/**
 * Short lines that pages have around their content, in English, German, French, Spanish and Italian: what content management systems
 * write by themselves. A line is compared as a whole.
 */

const whole = (alternatives: readonly string[]): RegExp =>
  new RegExp(String.raw`^(?:\(?\d+\)?\s*)?(?:${alternatives.join('|')})\W*$`, 'iu');

/** Headings of what comes behind the content: comments, other articles, who wrote it. */
const endings = whole([
  String.raw`comments?|responses?|replies|\w+ (?:thoughts?|responses?|comments?) (?:on|to) .*`,
  String.raw`leave (?:a|your) (?:reply|comment)|post a comment|add (?:a |your )?comment|join the (?:conversation|discussion)`,
  String.raw`related(?: \w+)?|you (?:may|might)(?: also)? (?:like|enjoy)\b.*|more (?:from|on|stories|articles|news|posts)\b.*`,
  String.raw`(?:what to )?read next|recommended(?: \w+)*|about the authors?|popular posts|latest (?:news|posts|articles)`,
  String.raw`kommentare?|kommentar (?:schreiben|verfassen|hinterlassen|hinzufügen)|kommentieren|kommentare (?:schreiben|geschlossen)`,
  String.raw`schreibe? einen kommentar|hinterlasse? (?:eine antwort|einen kommentar)|(?:ihr|dein) kommentar|antworten`,
  String.raw`ähnliche (?:artikel|beiträge|themen|produkte)|(?:das )?könnte (?:sie|dich|euch) auch interessieren|kunden kauften auch`,
  String.raw`weitere (?:artikel|beiträge|themen|meldungen|nachrichten|informationen)\b.*|mehr (?:zum thema|aus|von)\b.*`,
  String.raw`auch interessant|über den autor|über die autorin|aktuelle (?:artikel|beiträge|berichte|meldungen)\b.*`,
  String.raw`commentaires?|laisser un commentaire|articles (?:similaires|liés)|à? ?lire aussi\b.*|sur le même (?:sujet|thème)`,
  String.raw`comentarios?|deja un comentario|artículos relacionados|te puede interesar|commenti|articoli correlati|leggi anche\b.*`,
]);

const months =
  'jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|févr?(?:ier)?|mar(?:ch|s)?|märz|apr(?:il)?|avril|may|mai|june?|juni|juin|july?|juli|juillet|' +
  'aug(?:ust)?|août|sep(?:t|tember|tembre)?|o[ck]t(?:ober|obre)?|nov(?:ember|embre)?|d[eéE][czC](?:ember|embre)?|enero|febrero|marzo|abril|' +
  'mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre';

/** Lines of buttons, dates, writers, tags and notices. */
const leftovers = whole([
  String.raw`share(?: this| on\b.*| with\b.*|d)?|sharen mit\b.*|(?:mit anderen |diese[nrs]? \w+ )?teilen(?: mit\b.*)?|tweet|twittern|partager\b.*|compartir\b.*`,
  'print|drucken|imprimer|e-?mail|facebook|twitter|whatsapp|pinterest|linkedin|xing|instagram|telegram|rss|weiterempfehlen|like this|like|gefällt mir',
  'read more|continue reading|weiterlesen|mehr lesen|mehr erfahren|lire la suite|leer más|advertisement|sponsored|anzeige|werbung|publicité|publicidad|loading',
  String.raw`(?:posted|published|written|filed|updated|last (?:updated|modified))(?: (?:in|by|on|under|at|:)|:)?\s.*|this entry was posted\b.*`,
  String.raw`dieser (?:eintrag|beitrag) wurde\b.*|(?:ver)?öffentlicht (?:am|von|in|unter)\b.*|erstellt (?:am|von)\b.*|geschrieben (?:am|von)\b.*|publié (?:le|par|dans)\b.*|publicado (?:el|por|en)\b.*`,
  String.raw`(?:by|von|par|por|autor|author|foto|photo|redaktion)\s*:?(?:\s+\p{Lu}[\p{L}.'’-]*){1,4}`,
  String.raw`tag(?:s|ged|ged with|ged as)?(?: with)?\s*:?.*|getaggt mit\b.*|schlag(?:wörter|worte)\b.*|stichwörter\b.*|kategorien?\s*:.*|categor(?:y|ies)\s*:.*|themen\s*:.*|mots-clés\b.*|etiquetas\b.*`,
  String.raw`copyright\b.*|©.*|all rights reserved\b.*|alle rechte vorbehalten\b.*|skip to\b.*|zum inhalt\b.*|zur navigation\b.*|aller au contenu\b.*`,
  String.raw`(?:back )?to (?:the )?top|nach oben|zurück(?: zur?\b.*)?|retour\b.*|(?:next|previous|older|newer)(?: (?:post|article|page|entry))?s?|(?:nächster|vorheriger|nächste|vorherige) \p{L}+`,
  'sign (?:in|up)|log ?in|log ?out|subscribe|abonnieren|newsletter|register|anmelden|impressum|datenschutz(?:erklärung)?|agb|kontakt|contact|privacy policy|terms of (?:use|service)|cookies?',
  String.raw`pingback\b.*|trackback\b.*|(?:diese website verwendet|this site uses) akismet\b.*|(?:aufrufe|views|hits|leser)\s*:?\s*\d*|reply|antworten|\d+ (?:comments?|kommentare?|shares?|likes?)`,
  String.raw`(?:fanden sie diesen|wie bewerten sie diesen|was this|did you (?:find|like) this)\b.*|\d{1,2}[:.]\d{2}(?: ?(?:uhr|[ap]\.?m\.?|h))?`,
  // Dates, alone or with a weekday and a time.
  String.raw`(?:\p{L}{2,10}[,.]?\s+)?(?:(?:${months})\.?\s+\d{1,2}(?:st|nd|rd|th)?|\d{1,2}(?:st|nd|rd|th|\.)?\s*(?:${months})\.?)(?:,?\s+\d{4})?(?:[,\s|·–-]+.{0,20})?`,
  String.raw`(?:\p{L}{2,10},?\s+)?(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2})(?:[,\s|·–-]+.{0,20})?`,
]);

/** Longer texts are no such lines, whatever they begin with. */
const LONGEST = 200;

export const endsContent = (text: string): boolean => text.length <= LONGEST && endings.test(text);
export const isLeftover = (text: string): boolean => text.length <= LONGEST && leftovers.test(text);
