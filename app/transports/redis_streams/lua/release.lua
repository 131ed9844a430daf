-- Gives a partition up, unless somebody else has claimed it since.
--
-- KEYS  1 lease  {tag}:group:G:lease:P   token, owner
-- ARGV  1 worker  2 token

expect('hash', KEYS[1])
local lease = redis.call('HMGET', KEYS[1], 'owner', 'token')
if lease[1] == ARGV[1] and lease[2] == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'owner')
end
