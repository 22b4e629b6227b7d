/** Pages as systems make them: what was published stays, what stands around it goes. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { htmlToText } from '../html-text.ts';
import { countWords } from './blocks.ts';
import { mainText } from './main-text.ts';

const prose = (topic: string, sentences = 3) =>
  Array.from(
    { length: sentences },
    (_, i) =>
      `The ${topic} was found by the river in the ${i + 2}th week of that long and dry summer, as many had hoped.`,
  ).join(' ');
const links = (...names: string[]) => `<ul>${names.map((name) => `<li><a href="#">${name}</a></li>`).join('')}</ul>`;

test('a blog: menu, date, writer, buttons, tags, comments and the next posts go; headings and short lines inside stay', () => {
  const page = `<html><head><title>Herons – A Blog</title></head><body class="single has-sidebar">
    <div id="header"><a href="/">A Blog</a><div class="menu-main-container">${links('Home', 'About', 'Imprint')}</div></div>
    <div class="content-sidebar-wrap"><div class="post-12 hentry"><h1>Herons</h1><p class="x">12. May 2019</p><p>By Ada Lovelace</p>
    <p>${prose('heron')}</p><h2>What they eat</h2><ul><li>200 g of fish</li><li>two frogs</li></ul><p>${prose('frog')}</p>
    <div class="sharedaddy"><h3>Share this:</h3>${links('Tweet', 'Facebook')}</div><p>Tags: birds, water</p>
    <p>Posted in Birds</p></div>
    <div id="comments"><h3>2 thoughts on “Herons”</h3><p>${prose('comment')}</p></div>
    <div class="sidebar widget-area"><h3>About me</h3><p>${prose('writer', 1)}</p></div></div>
    <footer>© 2019 A Blog. ${prose('licence', 1)}</footer></body></html>`;
  deepStrictEqual(mainText(page), {
    title: 'Herons – A Blog',
    text: ['Herons', prose('heron'), 'What they eat', '200 g of fish', 'two frogs', prose('frog')].join('\n'),
  });
});

test('a newspaper with <article>: what is outside goes, and everything from a heading of other articles on', () => {
  const page = `<body><header>${links('Politics', 'Sport')}</header><div><p>${prose('subscription', 1)}</p></div>
    <main><article><header><h1>Ein Fluss</h1><time>Dienstag, 4. Juni 2019</time></header><p>${prose('Fluss', 5)}</p><p>${prose('Boot', 2)}</p>
    <h3>Das könnte Sie auch interessieren</h3><p>${prose('Meer', 1)}</p></article></main></body>`;
  deepStrictEqual(mainText(page).text, ['Ein Fluss', prose('Fluss', 5), prose('Boot', 2)].join('\n'));
});

test('a page of tables, as they were made: the cell with the text stays, cells of data share a line', () => {
  const page = `<table><tr><td>${links('News', 'Links', 'Guestbook')}</td><td><b>Our club</b><br>${prose('club')}<br><br>${prose('dog')}
    <table><tr><td>Founded</td><td>in the year 1974 by members</td></tr><tr><td>Members</td><td>about 120 and their dogs</td></tr></table>
    <p>${prose('yard')}</p></td></tr></table>`;
  const { text } = mainText(page);
  deepStrictEqual(text.split('\n'), [
    'Our club',
    prose('club'),
    prose('dog'),
    'Founded in the year 1974 by members',
    'Members about 120 and their dogs',
    prose('yard'),
  ]);
});

test('a container whose name misleads is kept where most of the text is in it', () => {
  const page = `<div class="social-story comments"><p>${prose('letter', 6)}</p></div><nav>${links('a', 'b')}</nav><p>${prose('box', 1)}</p>`;
  ok(mainText(page).text.includes(prose('letter', 6)));
});

test('an address that is written out is text; a date that is a link is none', () => {
  const page = `<div id="main"><p class="date"><a href="#">Donnerstag, 31. Mai 2012</a></p><h2>News</h2><p>${prose('petition')}</p>
    <p><a href="http://a.example/petition">http://a.example/petition</a></p></div><p><a href="#">← The one before</a></p>`;
  deepStrictEqual(mainText(page).text, ['News', prose('petition'), 'http://a.example/petition'].join('\n'));
});

test('the text of a blog by its name: what stands around it goes, whatever it looks like', () => {
  const page = `<div class="post hentry-box"><p>${prose('subscription', 1)}</p><div class="entry-content"><p>${prose('walk', 4)}</p><p>Yes.</p></div>
    <p>${prose('other', 1)}</p></div>`;
  deepStrictEqual(mainText(page).text, [prose('walk', 4), 'Yes.'].join('\n'));
});

test('a page with little text is taken as a whole', () => {
  for (const page of ['', '<p>Hello', '<nav><a href="#">One</a></nav><p>Short.</p>', 'just text &copy;'])
    deepStrictEqual(mainText(page), htmlToText(page));
});

test('hidden text, scripts and forms are no content', () => {
  const page = `<p>${prose('bridge', 4)}</p><div style="display: none"><p>${prose('trap')}</p></div><div aria-hidden="true">${prose('ghost')}</div>
    <script>var x = "${prose('code')}";</script><select><option>${prose('option')}</option></select><button>Send all of it now</button>`;
  deepStrictEqual(mainText(page).text, prose('bridge', 4));
});

test('words of scripts without spaces count', () => {
  deepStrictEqual(['two words', '水は流れる', '– —', ''].map(countWords), [2, 3, 0, 0]);
});

test('any tags: what is kept are pieces of the page, in its order', () => {
  const tag = fc.constantFrom(
    '<p>',
    '</p>',
    '<div class="nav">',
    '</div>',
    '<li>',
    '<td>',
    '<tr>',
    '<a>',
    '</a>',
    '<article>',
    '<h2>',
    '<b>',
  );
  const piece = fc.oneof(tag, fc.constantFrom(prose('stone', 1), 'Share', 'x', '12.5.2020'));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const all = htmlToText(pieces.join(' ')).text.replace(/\s/g, '');
      let at = 0;
      for (const line of mainText(pieces.join(' ')).text.split(/\s+/)) {
        const found = all.indexOf(line, at);
        ok(found >= 0, line);
        at = found + line.length;
      }
    }),
  );
});
