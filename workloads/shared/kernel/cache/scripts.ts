/** What the shared cache does in Redis, as scripts: each takes effect as a whole. */
import { createHash } from 'node:crypto';

export interface Script {
  text: string;
  /** The digest that Redis knows it by. */
  sha1: string;
}

function script(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

/**
 * KEYS: value, lock, generation, epochs. ARGV: token, lock ms, new epoch, epoch ms, "1" to refresh.
 * Returns the value, or the epochs and whether the caller has the lock. Missing epochs are created.
 */
export const READ = script(`
local epochs = redis.call('MGET', unpack(KEYS, 3))
for i, epoch in ipairs(epochs) do
  if not epoch then
    epochs[i] = ARGV[3]
    if i == 1 then redis.call('SET', KEYS[3], ARGV[3]) else redis.call('SET', KEYS[2 + i], ARGV[3], 'PX', ARGV[4]) end
  end
end
local joined = table.concat(epochs, ' ')
if ARGV[5] == '0' then
  local value = redis.call('GET', KEYS[1])
  if value and string.sub(value, 1, #joined + 1) == joined .. '\\n' then return {string.sub(value, #joined + 2), '', 0} end
end
local locked = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
return {'', joined, locked and 1 or 0}`);

/** KEYS: value, lock, generation, epochs. ARGV: token, epochs, value, ms. Returns 1 when it was stored. */
export const STORE = script(`
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
local epochs = redis.call('MGET', unpack(KEYS, 3))
for _, epoch in ipairs(epochs) do if not epoch then return 0 end end
if table.concat(epochs, ' ') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. '\\n' .. ARGV[3], 'PX', ARGV[4])
return 1`);

/** KEYS: lock. ARGV: token. */
export const RELEASE = script(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`);

/** KEYS: basis, generation, position. ARGV: basis, new generation. Returns the position, or nothing after a change of the basis. */
export const JOIN = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('GET', KEYS[3]) end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3])
return false`);

/** KEYS: generation. ARGV: new generation. */
export const RENEW = script(`return redis.call('SET', KEYS[1], ARGV[1])`);

/**
 * KEYS: basis, position. ARGV: basis, position, notifications as JSON, prefix of keys, ms, channel, scope, origin.
 * Deletes the epochs (and the values) of the names of notifications that nobody has applied, and publishes them. Returns 0 when the basis is another one.
 */
export const APPLY = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local names, patterns = {}, {}
for _, notification in ipairs(cjson.decode(ARGV[3])) do
  if notification.id == '' or redis.call('SET', ARGV[4] .. 'applied:' .. notification.id, '1', 'NX', 'PX', ARGV[5]) then
    for _, name in ipairs(notification.names) do
      names[#names + 1] = name
      redis.call('UNLINK', ARGV[4] .. 'epoch:' .. name, ARGV[4] .. 'value:' .. name)
    end
    for _, pattern in ipairs(notification.patterns) do patterns[#patterns + 1] = pattern end
  end
end
redis.call('SET', KEYS[2], ARGV[2])
if #names + #patterns > 0 then
  redis.call('PUBLISH', ARGV[6], cjson.encode({scope = ARGV[7], origin = ARGV[8], names = names, patterns = patterns}))
end
return 1`);
