-- Replaces the assignment, if it is still the one from which the new one was made.
--
-- KEYS  1 assignment  {tag}:group:G:assignment
-- ARGV  1 the assignment as it was ('' = none)  2 the new one
-- Returns the assignment as it is now

expect('string', KEYS[1])
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then
  return now
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
