-- Claims a partition: from now on every commit with an older token is refused.
--
-- KEYS  1 lease    {tag}:group:G:lease:P     token, owner; of the last commit: next offset, rows there were
--       2 members  {tag}:group:G:members
--       3 offsets  {tag}:topic:T:P:offsets   end, group:G
--       4 stream   {tag}:topic:T:P
--       5 state    {tag}:state:G:P
-- ARGV  1 worker  2 field group:G  3 '1' = even if a living worker owns it
-- Returns {'held', owner}, {'claimed', token, next offset, first offset there is, end, rows}, or {'torn', what}, if
-- state and offset are no longer as the last commit left them: to go on would count wrongly

expect('hash', KEYS[1], KEYS[3], KEYS[5])
expect('zset', KEYS[2])
expect('stream', KEYS[4])

local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] and ARGV[3] ~= '1' and redis.call('ZSCORE', KEYS[2], owner) then
  return {'held', owner}
end

local at, rows = redis.call('HGET', KEYS[3], ARGV[2]), redis.call('HLEN', KEYS[5])
local left = redis.call('HMGET', KEYS[1], 'next', 'rows')
if at ~= left[1] then
  return {'torn', 'offset ' .. (at or '(none)') .. ' in ' .. KEYS[3] .. ', where ' .. (left[1] or '(none)') .. ' was committed'}
end
if rows ~= tonumber(left[2] or 0) then
  return {'torn', rows .. ' rows in ' .. KEYS[5] .. ', where ' .. (left[2] or 0) .. ' were committed'}
end

local last = redis.call('HGET', KEYS[3], 'end') or '0'
local first = last
local entry = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
if entry then
  local count = string.match(entry[1], '^0%-') and entry[2][1] == 'n' and tonumber(entry[2][2])
  if not count then
    error({err = 'NOTOURS the first entry ' .. entry[1] .. ' of ' .. KEYS[4] .. ' is none of ours'})
  end
  first = string.format('%.0f', tonumber(string.sub(entry[1], 3)) - count)
end

local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
if not at then
  at = first
  redis.call('HSET', KEYS[3], ARGV[2], at)
  redis.call('HSET', KEYS[1], 'next', at, 'rows', 0)
end
return {'claimed', token, at, first, last, rows}
