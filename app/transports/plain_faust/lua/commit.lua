-- Commits how far a group has read, in one partition number of its topics, unless somebody else has claimed it since.
--
-- KEYS  1 lease    {tag}:group:G:lease:P   token, owner
--       2, 3 …     offsets and stream of this partition of each topic
-- ARGV  1 worker  2 token  3 field group:G  4 records that are kept after all groups have read them
--       5 …        next offset of each topic
-- Returns 'ok', 'fenced', or 'ahead' if a topic ends before that offset: the server went back. Then nothing has changed

local lease = redis.call('HMGET', KEYS[1], 'owner', 'token')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return 'fenced'
end
for i = 2, #KEYS, 2 do
  if tonumber(ARGV[4 + i / 2]) > tonumber(redis.call('HGET', KEYS[i], 'end') or '0') then
    return 'ahead'
  end
end
for i = 2, #KEYS, 2 do
  redis.call('HSET', KEYS[i], ARGV[3], ARGV[4 + i / 2])
  trim(KEYS[i + 1], KEYS[i], tonumber(ARGV[4]))
end
return 'ok'
