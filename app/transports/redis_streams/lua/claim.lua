-- Claims a partition: from now on every commit with an older token is refused.
--
-- KEYS  1 lease    {tag}:group:G:lease:P     token, owner
--       2 members  {tag}:group:G:members
--       3 offsets  {tag}:topic:T:P:offsets   end, group:G
--       4 stream   {tag}:topic:T:P
--       5 state    {tag}:state:G:P
-- ARGV  1 worker  2 field group:G  3 '1' = even if a living worker owns it
-- Returns {'held', owner} or {'claimed', token, next offset, first offset there is, end, rows}

local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] and ARGV[3] ~= '1' and redis.call('ZSCORE', KEYS[2], owner) then
  return {'held', owner}
end

local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1])

local last = redis.call('HGET', KEYS[3], 'end') or '0'
local first = last
local entry = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
if entry then
  first = string.format('%.0f', tonumber(string.sub(entry[1], 3)) - tonumber(entry[2][2]))
end
redis.call('HSETNX', KEYS[3], ARGV[2], first)
return {'claimed', token, redis.call('HGET', KEYS[3], ARGV[2]), first, last, redis.call('HLEN', KEYS[5])}
