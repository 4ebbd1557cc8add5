/**
 * Limits expensive work to one run at a time. A caller never gets the result of a run that began before its call: it joins the next run, with
 * all others that wait.
 */
export function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> | undefined;
  let next: Promise<T> | undefined;

  const start = (): Promise<T> => {
    next = undefined;
    const run = work();
    // With a run waiting, `running` stays set until that run takes its place: no caller may start another one in between.
    const release = (): void => {
      if (!next) running = undefined;
    };
    running = run.then(release, release);
    return run;
  };

  return () => {
    if (!running) return start();
    next ??= running.then(start);
    return next;
  };
}
