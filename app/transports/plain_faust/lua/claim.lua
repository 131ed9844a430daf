-- Claims partition number P of all topics of a group: from now on commits with an older token are refused.
--
-- KEYS  1 lease    {tag}:group:G:lease:P     token, owner
--       2 members  {tag}:group:G:members
--       3, 4 …     offsets, stream and rows of this partition of each topic that the group reads
-- ARGV  1 worker  2 field group:G  3 '1' = even if a living worker owns it
--       4 where a group begins that never read the topic: 'earliest' or 'latest'
-- Returns {'held', owner} or {'claimed', token}

expect('hash', KEYS[1])
expect('zset', KEYS[2])
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] and ARGV[3] ~= '1' and redis.call('ZSCORE', KEYS[2], owner) then
  return {'held', owner}
end

for i = 3, #KEYS, 3 do
  local offsets, stream, rows = KEYS[i], KEYS[i + 1], KEYS[i + 2]
  local start = string.format('%.0f', end_of(stream, offsets))
  if ARGV[4] == 'earliest' then
    local entry = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if redis.call('HLEN', rows) > 0 then
      start = '0'
    elseif entry then
      start = string.format('%.0f', tonumber(string.sub(entry[1], 3)) - tonumber(entry[2][2]))
    end
  end
  redis.call('HSETNX', offsets, ARGV[2], start) -- from now on nothing is trimmed that this group has not read
end
local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
return {'claimed', token}
