/** Who answers by name: own names, custom domains and routes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Hosts, hostName } from '../../local/runtime/hosts.js';

const NAME = 'example.com';
const PATTERNS = [
  `*${NAME}/*`,
  `*.${NAME}/*`,
  `*.${NAME}/a/much/longer/path/than/the/others/*`,
  `www.${NAME}/*`,
  `https://www.${NAME}/images/*`,
  `www.${NAME}/images/cat.png`,
  NAME,
];

/** @param {string} name */
function worker(name) {
  const version = { id: '1', main_module: null, compatibility_date: '2026-01-01', compatibility_flags: [], modules: [], bindings: [], percentage: 100 };
  return { name, port: 1, schedules: [], versions: [version] };
}

/**
 * Hosts with a Worker for each route, named by its pattern.
 *
 * @param {string[]} patterns
 * @param {{hostname: string, worker: string}[]} [domains]
 * @param {string[]} [unserved] patterns of routes without a Worker
 */
function hosts(patterns, domains = [], unserved = []) {
  const found = new Hosts();
  const routes = [
    ...patterns.map((pattern) => ({ pattern, worker: pattern })),
    ...unserved.map((pattern) => ({ pattern, worker: null })),
  ];
  const names = [...patterns, ...domains.map(({ worker: name }) => name)];
  found.set({ workers: names.map(worker), domains, routes });
  return found;
}

/**
 * @param {Hosts} among
 * @param {string} address
 */
function answering(among, address) {
  const slash = address.indexOf('/');
  const targets = among.find(hostName(address.slice(0, slash)), address.slice(slash));
  return targets?.map(({ service }) => service.replace(/\/1$/, ''));
}

for (const [address, pattern] of /** @type {[string, string][]} */ ([
  [`${NAME}/`, NAME],
  [`${NAME}/?query`, `*${NAME}/*`],
  [`${NAME}/deep`, `*${NAME}/*`],
  [`my${NAME}/`, `*${NAME}/*`],
  [`sub.${NAME}/`, `*.${NAME}/*`],
  [`sub.${NAME}/a/much/longer/path/than/the/others/x`, `*.${NAME}/a/much/longer/path/than/the/others/*`],
  [`www.${NAME}/a/much/longer/path/than/the/others/x`, `www.${NAME}/*`],
  [`www.${NAME}/images/dog.png`, `https://www.${NAME}/images/*`],
  [`www.${NAME}/images/cat.png`, `www.${NAME}/images/cat.png`],
  [`www.${NAME}/images/cat.png?size=1`, `https://www.${NAME}/images/*`],
  [`WWW.${NAME}:8080/Images/cat.png`, `www.${NAME}/*`],
])) {
  test(`${address} falls to ${pattern}, in whatever order they are`, () => {
    assert.deepEqual(answering(hosts(PATTERNS), address), [pattern]);
    assert.deepEqual(answering(hosts(PATTERNS.toReversed()), address), [pattern]);
  });
}

test('a route without a Worker negates less specific ones, and lets a custom domain answer', () => {
  const domains = [{ hostname: `app.${NAME}`, worker: 'origin' }];
  const found = hosts([`*${NAME}/*`], domains, [`www.${NAME}/images/*`, `app.${NAME}/*`]);
  assert.deepEqual(answering(found, `www.${NAME}/images/x`), []);
  assert.deepEqual(answering(found, `www.${NAME}/x`), [`*${NAME}/*`]);
  assert.deepEqual(answering(found, `app.${NAME}/x`), ['origin']);
});

test('a route goes before a custom domain of the same name, and a domain takes the rest', () => {
  const found = hosts([`app.${NAME}/auth*`], [{ hostname: `app.${NAME}`, worker: 'origin' }]);
  assert.deepEqual(answering(found, `app.${NAME}/auth/in`), [`app.${NAME}/auth*`]);
  assert.deepEqual(answering(found, `app.${NAME}/other`), ['origin']);
});

test('a routed name that no route takes has nobody, and any other name leaves it to the port', () => {
  const found = hosts([`www.${NAME}/only`]);
  assert.deepEqual(answering(found, `www.${NAME}/other`), []);
  assert.equal(answering(found, `${NAME}/`), undefined);
  assert.deepEqual([`www.${NAME}`, NAME, 'localhost', 'some.localhost', '127.0.0.1', '[::1]'].map((host) => found.knows(host)), [
    true, false, true, true, true, true,
  ]);
});
