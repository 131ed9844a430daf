-- Does once, on a key of its own, what the other scripts do, so that a missing right shows at start and not in between.
--
-- KEYS  1 {tag}:probe

redis.call('DEL', KEYS[1])
redis.call('TIME')
redis.call('HSET', KEYS[1], 'f', '1')
redis.call('HSETNX', KEYS[1], 'f', '1')
redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HGET', KEYS[1], 'f')
redis.call('HMGET', KEYS[1], 'f', 'n')
redis.call('HGETALL', KEYS[1])
redis.call('HLEN', KEYS[1])
redis.call('HDEL', KEYS[1], 'f')
redis.call('EXPIRE', KEYS[1], 60)
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '0-1', 'n', '1')
redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
redis.call('XTRIM', KEYS[1], 'MINID', '0-2')
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 1, 'm')
redis.call('ZSCORE', KEYS[1], 'm')
redis.call('ZRANGE', KEYS[1], 0, -1)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(1')
redis.call('ZREM', KEYS[1], 'm')
redis.call('SET', KEYS[1], '')
redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return cmsgpack.pack(1) and 1
