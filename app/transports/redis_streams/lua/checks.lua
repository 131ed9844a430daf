-- Comes before each of the other scripts: what must hold before one of them writes anything. Redis rolls nothing back,
-- so a call that fails in the middle would leave half of a step.

-- Fails unless all the keys are of that kind, or not there.
local function expect(kind, ...)
  for _, key in ipairs({...}) do
    local found = redis.call('TYPE', key)['ok']
    if found ~= kind and found ~= 'none' then
      error({err = 'NOTOURS the key ' .. key .. ' is a ' .. found .. ', not a ' .. kind})
    end
  end
end

-- Fails unless this user may do all that a script that adds records does. (The keys were checked with the call.)
local function may_write(key)
  local calls = {
    {'HSET', key, 'f', 'v'}, {'HGETALL', key}, {'HLEN', key}, {'XADD', key, '0-1', 'f', 'v'}, {'XSETID', key, '0-1'},
    {'XTRIM', key, 'MINID', '0-1'}, {'EXPIRE', key, '1'},
  }
  for _, call in ipairs(calls) do
    if not redis.acl_check_cmd(unpack(call)) then
      error({err = 'NOPERM this user may not run ' .. call[1]})
    end
  end
end

-- Returns where a partition ends; fails if its stream goes on behind that, as XADD would then.
local function end_of(stream, offsets)
  expect('stream', stream)
  expect('hash', offsets)
  local last = redis.call('HGET', offsets, 'end') or '0'
  if not string.match(last, '^%d+$') then
    error({err = 'NOTOURS the field end of ' .. offsets .. ' is no number'})
  end
  local behind = redis.call('XRANGE', stream, '(0-' .. last, '+', 'COUNT', 1)[1]
  if behind then
    error({err = 'NOTOURS the stream ' .. stream .. ' has an entry ' .. behind[1] .. ' behind its end ' .. last})
  end
  return tonumber(last)
end

-- Adds an entry that makes a partition end at `last` instead of `before`.
local function add(stream, before, last, count, packed)
  local id = '0-' .. string.format('%.0f', last)
  if redis.pcall('XADD', stream, id, 'n', count, 'r', packed)['err'] then
    -- Entries behind the end were there once, and gone before `end_of`; the stream only remembers their ids.
    redis.call('XSETID', stream, '0-' .. string.format('%.0f', before))
    redis.call('XADD', stream, id, 'n', count, 'r', packed)
  end
end
