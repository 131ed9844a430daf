-- Fails unless this user may run every command that is needed, so that a missing right shows at start and not in between.
-- Nothing is written.
--
-- KEYS  1 {tag}:probe

local key = KEYS[1]
local calls = {
  {'EVAL', 'return', '0'}, {'EXPIRE', key, '1'}, {'GET', key}, {'HDEL', key, 'f'}, {'HEXISTS', key, 'f'},
  {'HGET', key, 'f'}, {'HGETALL', key}, {'HINCRBY', key, 'f', '1'}, {'HLEN', key}, {'HMGET', key, 'f'},
  {'HSCAN', key, '0'}, {'HSET', key, 'f', 'v'}, {'HSETNX', key, 'f', 'v'}, {'SET', key, 'v'}, {'TIME'}, {'TYPE', key},
  {'XADD', key, '0-1', 'f', 'v'}, {'XRANGE', key, '-', '+'}, {'XREAD', 'STREAMS', key, '0-0'},
  {'XTRIM', key, 'MINID', '0-1'}, {'ZADD', key, '1', 'm'}, {'ZRANGE', key, '0', '-1'}, {'ZREM', key, 'm'},
  {'ZREMRANGEBYSCORE', key, '0', '1'}, {'ZSCORE', key, 'm'},
}
local missing = {}
for _, call in ipairs(calls) do
  if not redis.acl_check_cmd(unpack(call)) then
    missing[#missing + 1] = '+' .. string.lower(call[1])
  end
end
if #missing > 0 then
  error({err = 'NOPERM this user lacks ' .. table.concat(missing, ' ') .. ' on ' .. key})
end
return cmsgpack.pack(1) and 1
