-- Appends one entry to a partition, once however often it is tried, unless too much waits there already.
--
-- KEYS  1 stream   {tag}:topic:T:P
--       2 offsets  {tag}:topic:T:P:offsets   end, group:G…
--       3 sender   {tag}:sender:S            T:P -> number of the last entry
-- ARGV  1 count  2 packed records  3 most records that may wait  4 field of the sender  5 number of this entry
--       6 seconds until a silent sender is forgotten
-- Returns {'ok'} or {'full', slowest group or ''}

if redis.call('HGET', KEYS[3], ARGV[4]) == ARGV[5] then
  return {'ok'} -- it is there; only the reply was lost
end

local offsets = redis.call('HGETALL', KEYS[2])
local last, least, slowest = 0, nil, ''
for i = 1, #offsets, 2 do
  local offset = tonumber(offsets[i + 1])
  if offsets[i] == 'end' then
    last = offset
  elseif not least or offset < least then
    least, slowest = offset, string.sub(offsets[i], 7)
  end
end
if last - (least or 0) + tonumber(ARGV[1]) > tonumber(ARGV[3]) and last > (least or 0) then
  return {'full', slowest}
end

last = string.format('%.0f', redis.call('HINCRBY', KEYS[2], 'end', ARGV[1]))
redis.call('XADD', KEYS[1], '0-' .. last, 'n', ARGV[1], 'r', ARGV[2])
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[3], ARGV[6])
return {'ok'}
