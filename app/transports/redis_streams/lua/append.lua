-- Appends one entry to a partition, once however often it is tried, unless too much waits there already.
--
-- KEYS  1 stream   {tag}:topic:T:P
--       2 offsets  {tag}:topic:T:P:offsets   end, group:G…
--       3 sender   {tag}:sender:S            T:P -> number of the last entry
-- ARGV  1 count  2 packed records  3 most records that may wait  4 field of the sender  5 number of this entry
--       6 seconds until a silent sender is forgotten
-- Returns {'ok'} or {'full', slowest group or ''}

expect('hash', KEYS[3])
if redis.call('HGET', KEYS[3], ARGV[4]) == ARGV[5] then
  return {'ok'} -- it is there; only the reply was lost
end

may_write(KEYS[1])
local last = end_of(KEYS[1], KEYS[2])
local least, slowest = least_group(KEYS[2])
if last - (least or 0) + tonumber(ARGV[1]) > tonumber(ARGV[3]) and last > (least or 0) then
  return {'full', slowest}
end

add(KEYS[1], last + tonumber(ARGV[1]), ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], 'end', string.format('%.0f', last + tonumber(ARGV[1])))
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[3], ARGV[6])
return {'ok'}
