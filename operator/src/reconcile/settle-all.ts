/**
 * Like `Promise.all`, but settles only after every promise has: a pass that fails leaves no request in flight, which could race the retry or take
 * effect after the lease is released.
 * @throws the error of the first promise, in order, that rejected
 */
export async function settleAll<T>(promises: Iterable<T | PromiseLike<T>>): Promise<Awaited<T>[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
