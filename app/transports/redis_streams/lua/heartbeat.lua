-- Tells the group that a worker lives, forgets those that have not for too long, and says what the group looks like.
--
-- KEYS  1 members     {tag}:group:G:members   worker -> last heartbeat, ms
--       2 assignment  {tag}:group:G:assignment
-- ARGV  1 worker  2 session time-out, ms
-- Returns {assignment or '', members…}

expect('zset', KEYS[1])
expect('string', KEYS[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local session = tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - session))
-- From the future: the server's clock was set back. They will say that they live within a moment.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now + session), '+inf')
return {redis.call('GET', KEYS[2]) or '', unpack(redis.call('ZRANGE', KEYS[1], 0, -1))}
