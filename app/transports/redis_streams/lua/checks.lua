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
    {'HSET', key, 'f', 'v'}, {'HGETALL', key}, {'HLEN', key}, {'XADD', key, '0-1', 'f', 'v'},
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

-- Adds an entry that makes a partition end at `last`. It fails only if the stream remembers the id of an entry that
-- somebody else wrote behind its end and deleted again, which nothing but XINFO STREAM shows, at the cost of two entries.
local function add(stream, last, count, packed)
  local added = redis.pcall('XADD', stream, '0-' .. string.format('%.0f', last), 'n', count, 'r', packed)
  if added['err'] and string.find(added['err'], 'equal or smaller', 1, true) then
    error({err = 'NOTOURS the stream ' .. stream .. ' remembers an entry behind its end (XINFO STREAM)'})
  elseif added['err'] then
    error(added)
  end
end
