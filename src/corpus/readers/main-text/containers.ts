/** Containers that hold the main content, and those that hold something else, by what their makers call them: element, role, class and id. */
import type { Token } from 'parse5';

const tags = new Set(['nav', 'footer', 'aside', 'menu']);
const roles = new Set(
  'navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar tablist'.split(' '),
);
/** Whole words of a class or an id, lower-cased. */
const names = new Set(
  (
    'nav navi navbar navigation mainnav subnav topnav menu menus submenu mainmenu topmenu dropdown breadcrumb breadcrumbs crumbs footer ' +
    'foot pagefooter sitefooter sidebar sidenav rightcol leftcol rail widget widgets share shares sharing sharebar sharedaddy social ' +
    'socials socialmedia addthis addtoany shariff related relatedposts recommended recommendations recommend jp promo promotion advert ' +
    'adverts advertisement advertising advertorial ads adsense adslot adsbygoogle anzeige werbung sponsor sponsored sponsors banner ' +
    'banners cookie cookies cookiebar consent gdpr newsletter subscribe subscription signup login signin register comment comments ' +
    'commentlist commentform commentary kommentar kommentare disqus respond trackback trackbacks pingback pagination pager paging pagenav ' +
    'pagenavi postnav prevnext toolbar skiplink skip popup modal overlay lightbox tagcloud tags taglist posttags byline authorbox ' +
    'authorinfo bio biography copyright masthead searchform searchbox outbrain taboola teaser teasers teaserlist morelinks readmore ' +
    'rating ratings printlink metanav servicenav topbar toplinks hidden invisible noprint screenreader blogroll archives calendar'
  ).split(' '),
);
/** A container of one of these holds main content beside what it is named after: content-sidebar-wrap, has-sidebar, page with menu. */
const exceptions = new Set(
  'has with no without wrap wrapper layout page main content inner outer body active open'.split(' '),
);

export function isAside({ tagName, attrs }: Token.TagToken, inArticle: boolean): boolean {
  if (tags.has(tagName) || (tagName === 'header' && !inArticle)) return true;
  let words = '';
  for (const { name, value } of attrs) {
    if (name === 'role' && roles.has(value.toLowerCase())) return true;
    if (name === 'hidden' || (name === 'aria-hidden' && value === 'true')) return true;
    if (name === 'style' && /display\s*:\s*none|visibility\s*:\s*hidden/i.test(value)) return true;
    // Longer lists of classes are no names.
    if ((name === 'class' || name === 'id') && value.length < 500) words += ` ${value}`;
  }
  if (words === '' || /^(?:html|body|main|article|a|span|em|strong|b|i|p|h[1-6])$/.test(tagName)) return false;
  return words.split(/\s+/).some((name) => {
    const parts = name
      .replace(/([a-z])([A-Z])/g, '$1-$2')
      .toLowerCase()
      .split(/[^a-z]+/);
    return parts.some((part) => names.has(part)) && !parts.some((part) => exceptions.has(part));
  });
}

const articleTags = new Set(['article', 'main']);
/** Whole classes or ids of the text itself, without what stands around it. */
const articleNames =
  /^(?:entry|post|article|story|blog-?post|news)[-_]{0,2}(?:content|body|text|main)$|^h-?entry$|^e-content$|^mw-(?:body-content|content-text)$/i;

export function isArticle({ tagName, attrs }: Token.TagToken): boolean {
  if (articleTags.has(tagName)) return true;
  return attrs.some(({ name, value }) => {
    if (name === 'role') return value === 'main' || value === 'article';
    if (name === 'itemprop') return value === 'articleBody';
    return (name === 'class' || name === 'id') && value.split(/\s+/, 20).some((each) => articleNames.test(each));
  });
}
