/** The attempts of a task: the outcome of each, its error and its log. */

import type { Attempt, Failure } from './answers.d.ts';
import { Status } from './parts.tsx';
import { at, counted, duration, errorOf } from './words.ts';

export function AttemptList({ attempts }: { attempts: Attempt[] }) {
  if (attempts.length === 0) return <p class="quiet">None yet.</p>;
  // Most readers want the last one.
  return <ol class="cards">{attempts.toReversed().map((attempt) => <li key={`${attempt.run} ${attempt.attempt}`}><AttemptCard {...attempt} /></li>)}</ol>;
}

function AttemptCard({ run, attempt, outcome, startedAt, endedAt, error, log, logDropped }: Attempt) {
  const took = startedAt && endedAt ? `, took ${duration(Date.parse(endedAt) - Date.parse(startedAt))}` : '';
  return (
    <article aria-label={`Attempt ${attempt} of run ${run}`}>
      <h4>Attempt {attempt}{run > 1 && ` of run ${run}`} <Status status={outcome} /> <small>{at(startedAt)}{took}</small></h4>
      {error && <FailureText {...error} />}
      {(log.length > 0 || logDropped > 0) && <Log log={log} dropped={logDropped} />}
    </article>
  );
}

function FailureText({ name, message, stack, cause }: Failure) {
  return (
    <>
      <p class="error">{errorOf({ name, message })}</p>
      {stack && <pre tabIndex={0} role="region" aria-label={`Stack of ${name}`}>{stack}</pre>}
      {cause && <div class="cause"><p>because of</p><FailureText {...cause} /></div>}
    </>
  );
}

function Log({ log, dropped }: { log: Attempt['log']; dropped: number }) {
  return (
    <>
      {dropped > 0 && <p class="quiet">{counted(dropped, 'line')} before these are not kept.</p>}
      <table class="log">
        <caption class="unseen">What it has logged</caption>
        <thead class="unseen"><tr><th scope="col">Time</th><th scope="col">Level</th><th scope="col">Line</th></tr></thead>
        <tbody>
          {log.map(({ at: when, level, message, fields }, index) => (
            <tr key={index}>
              <td><time dateTime={when} title={at(when)}>{when.slice(11, 23)}</time></td>
              <td class={`level ${level}`}>{level}</td>
              <td>{message} {fields && <code>{fields}</code>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
