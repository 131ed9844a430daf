-- Appends one entry to a partition, once however often it is tried, unless too much waits there already.
--
-- KEYS  1 stream   {tag}:topic:T:P
--       2 offsets  {tag}:topic:T:P:offsets   end, group:G…
--       3 sender   {tag}:sender:S            T:P -> number of the last entry, end after it
--       of a compacted topic also:
--       4 rows     {tag}:topic:T:P:rows      key -> MessagePack of offset, timestamp, value, headers; false for none
--       5 expiry   {tag}:topic:T:P:expiry    key -> when its row goes, ms
--       of a table's changelog also:
--       6 lease    {tag}:group:G:lease:P     token, owner
-- ARGV  1 count  2 packed records  3 most records that may wait  4 field of the sender  5 number of this entry
--       6 seconds until a silent sender is forgotten  7 records that stay after all groups have read them
--       8 of a compacted topic: ms that a row stays, 0 = for ever; of another: seconds until it goes unused, 0 = never
--       9 worker  10 token
-- Returns {'ok', end after this entry}, {'full', slowest group or ''}, or {'fenced', ''} if somebody else has claimed the
-- partition since: rows made of what was known before must not replace those of its owner now

local DELETED_MS = 86400000 -- how long a deleted row can still be read as such: as long as on Kafka

expect('hash', KEYS[3])
local sent = redis.call('HGET', KEYS[3], ARGV[4])
local number, after = string.match(sent or '', '^(%d+) (%d+)$')
if number == ARGV[5] then
  return {'ok', tonumber(after)} -- it is there; only the reply was lost
end

if KEYS[6] then
  local lease = redis.call('HMGET', KEYS[6], 'owner', 'token')
  if lease[1] ~= ARGV[9] or lease[2] ~= ARGV[10] then
    return {'fenced', ''}
  end
end
may_write(KEYS[1])
local last = end_of(KEYS[1], KEYS[2])
local compacted, stay = KEYS[4] ~= nil, tonumber(ARGV[8])
local least, slowest = least_group(KEYS[2])
local waiting = last - (least or 0)
if waiting > 0 and waiting + tonumber(ARGV[1]) > tonumber(ARGV[3]) and (least or not (compacted or stay > 0)) then
  return {'full', slowest}
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function keep_row(offset, timestamp, key, value, headers)
  redis.call('HSET', KEYS[4], key, cmsgpack.pack({offset, timestamp, value or false, headers or false}))
  if not value then
    redis.call('ZADD', KEYS[5], now + DELETED_MS, key)
  elseif stay > 0 then
    redis.call('ZADD', KEYS[5], timestamp + stay, key)
  else
    redis.call('ZREM', KEYS[5], key)
  end
end

if compacted then
  expect('hash', KEYS[4])
  expect('zset', KEYS[5])
end
local after_it = last + tonumber(ARGV[1])
add(KEYS[1], after_it, ARGV[1], ARGV[2])
if compacted then
  local timestamps, keys, values, headers = unpack(cmsgpack.unpack(ARGV[2]))
  for i = 1, tonumber(ARGV[1]) do
    keep_row(last + i - 1, timestamps[i], keys[i], values[i], headers[i])
  end
  for _, key in ipairs(redis.call('ZRANGE', KEYS[5], '-inf', now, 'BYSCORE', 'LIMIT', 0, 2 * ARGV[1])) do
    redis.call('HDEL', KEYS[4], key)
    redis.call('ZREM', KEYS[5], key)
  end
end
redis.call('HSET', KEYS[2], 'end', string.format('%.0f', after_it))
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5] .. ' ' .. string.format('%.0f', after_it))
redis.call('EXPIRE', KEYS[3], ARGV[6])
if compacted then
  trim(KEYS[1], KEYS[2], math.max(1, tonumber(ARGV[7])))
elseif stay > 0 then
  redis.call('EXPIRE', KEYS[1], stay)
  redis.call('EXPIRE', KEYS[2], stay)
end
return {'ok', after_it}
