/**
 * The Unicode script of a character as sentencepiece's trainer groups them: kana and the long-vowel mark count as Han, what
 * has no script of its own is Common. Pieces of several scripts are not allowed.
 * Source   sentencepiece trainer_interface.cc, IsValidSentencePiece; Unicode Standard Annex 24.
 */
const names =
  'Latin Common Inherited Cyrillic Greek Han Hiragana Katakana Hangul Arabic Hebrew Devanagari Thai Armenian Georgian Bengali ' +
  'Tamil Telugu Kannada Malayalam Gujarati Gurmukhi Sinhala Oriya Lao Khmer Myanmar Tibetan Ethiopic Mongolian Cherokee ' +
  'Canadian_Aboriginal Ogham Runic Bopomofo Yi Old_Italic Gothic Deseret Tagalog Hanunoo Buhid Tagbanwa Limbu Tai_Le Linear_B ' +
  'Ugaritic Shavian Osmanya Cypriot Braille Buginese Coptic New_Tai_Lue Glagolitic Tifinagh Syloti_Nagri Old_Persian ' +
  'Kharoshthi Balinese Cuneiform Phoenician Phags_Pa Nko Sundanese Lepcha Ol_Chiki Vai Saurashtra Kayah_Li Rejang Lycian ' +
  'Carian Lydian Cham Tai_Tham Tai_Viet Avestan Egyptian_Hieroglyphs Samaritan Lisu Bamum Javanese Meetei_Mayek ' +
  'Imperial_Aramaic Old_South_Arabian Inscriptional_Parthian Inscriptional_Pahlavi Old_Turkic Kaithi Batak Brahmi Mandaic ' +
  'Chakma Meroitic_Cursive Meroitic_Hieroglyphs Miao Sharada Sora_Sompeng Takri Caucasian_Albanian Bassa_Vah Duployan Elbasan ' +
  'Grantha Khojki Khudawadi Linear_A Mahajani Manichaean Mende_Kikakui Modi Mro Nabataean Old_North_Arabian Old_Permic ' +
  'Pahawh_Hmong Palmyrene Pau_Cin_Hau Psalter_Pahlavi Siddham Tirhuta Warang_Citi Ahom Anatolian_Hieroglyphs Hatran ' +
  'Multani Old_Hungarian SignWriting Syriac Thaana Adlam Bhaiksuki Marchen Newa Osage Tangut';

const tests = names.split(' ').map((name) => ({ name, pattern: new RegExp(`^\\p{Script=${name}}`, 'u') }));
const known = new Map<string, string>();

/** Script of one character. 'Inherited' marks take the script of what they stand on. */
export function scriptOf(character: string): string {
  let script = known.get(character);
  if (script === undefined) {
    script = tests.find(({ pattern }) => pattern.test(character))?.name ?? 'Common';
    if (script === 'Hiragana' || script === 'Katakana' || character === 'ー') script = 'Han';
    known.set(character, script);
  }
  return script;
}
