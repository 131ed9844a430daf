-- Comes before each of the other scripts, after checks.lua: what the groups that read a partition allow.

-- Returns the offset and the name of the group that has read least of a partition; nil if none reads it.
local function least_group(offsets)
  local all = redis.call('HGETALL', offsets)
  local least, slowest = nil, ''
  for i = 1, #all, 2 do
    local offset = tonumber(all[i + 1])
    if offset and all[i] ~= 'end' and (not least or offset < least) then
      least, slowest = offset, string.sub(all[i], 7)
    end
  end
  return least, slowest
end

-- Removes what is older than the last `keep` records, except what some group has still to read.
local function trim(stream, offsets, keep)
  local last = tonumber(redis.call('HGET', offsets, 'end') or '0') or 0 -- must not fail: some have written by now
  local bound = math.min(last - keep, least_group(offsets) or last)
  if bound > 0 then
    redis.call('XTRIM', stream, 'MINID', '0-' .. string.format('%.0f', bound + 1))
  end
end
