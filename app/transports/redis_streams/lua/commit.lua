-- Commits a step: rows, outputs and the source offset, all or nothing.
--
-- KEYS  1 lease    {tag}:group:G:lease:P     token, owner, next, rows
--       2 offsets  {tag}:topic:T:P:offsets   of the source: end, group:G…
--       3 stream   {tag}:topic:T:P           the source
--       4 state    {tag}:state:G:P
--       5, 6 …     stream and offsets of each partition that gets outputs
-- ARGV  1 worker  2 token  3 field group:G  4 offset that must be committed now  5 next offset
--       6 records of the source that are kept after all groups have read them
--       7 number of row lists, then each: MessagePack of field, row, field, row …
--       then MessagePack of the fields that are deleted, or nothing
--       then for each entry of outputs: index of its stream in KEYS, count, packed records, records to keep (-1: all)
-- Returns {'ok'}, {'fenced', owner} or {'stale', committed offset}; in the latter two cases nothing has changed

local lease = redis.call('HMGET', KEYS[1], 'owner', 'token')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return {'fenced', lease[1] or ''}
end
local committed = redis.call('HGET', KEYS[2], ARGV[3])
if committed ~= ARGV[4] then
  return {'stale', committed or ''}
end

may_write(KEYS[1])
expect('hash', KEYS[1], KEYS[2], KEYS[4])
expect('stream', KEYS[3])
local ends = {}
for index = 5, #KEYS, 2 do
  ends[index] = end_of(KEYS[index], KEYS[index + 1])
end

-- From here on nothing may fail. What might all the same (see `add`) comes first, while nothing is counted yet.
local outputs = 9 + tonumber(ARGV[7])
for at = outputs, #ARGV, 4 do
  local index = tonumber(ARGV[at])
  local last = ends[index] + tonumber(ARGV[at + 1])
  add(KEYS[index], last, ARGV[at + 1], ARGV[at + 2])
  ends[index] = last
end
for index, last in pairs(ends) do
  redis.call('HSET', KEYS[index + 1], 'end', string.format('%.0f', last))
end
for at = 8, outputs - 2 do
  local rows = cmsgpack.unpack(ARGV[at])
  for i = 1, #rows, 1000 do -- Lua's stack holds no more than some thousands
    redis.call('HSET', KEYS[4], unpack(rows, i, math.min(i + 999, #rows)))
  end
end
if ARGV[outputs - 1] ~= '' then
  local deleted = cmsgpack.unpack(ARGV[outputs - 1])
  for i = 1, #deleted, 1000 do
    redis.call('HDEL', KEYS[4], unpack(deleted, i, math.min(i + 999, #deleted)))
  end
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[5])
redis.call('HSET', KEYS[1], 'next', ARGV[5], 'rows', redis.call('HLEN', KEYS[4]))

for at = outputs, #ARGV, 4 do
  local index, keep = tonumber(ARGV[at]), tonumber(ARGV[at + 3])
  if keep >= 0 then
    trim(KEYS[index], KEYS[index + 1], keep)
  end
end
trim(KEYS[3], KEYS[2], tonumber(ARGV[6]))
return {'ok'}
