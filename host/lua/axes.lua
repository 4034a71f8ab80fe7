-- axes.lua: where values are on a picture: ranges, round numbers, dates, and the lines and labels of the axes.

local svg = require "lstm.svg"

local axes = {}

local FONT, px, text_width = svg.FONT, svg.px, svg.text_width
local floor, ceil, abs = math.floor, math.ceil, math.abs

local function log10(value) return math.log(value) / math.log(10) end

function axes.finite(value) return value - value == 0 end

local finite = axes.finite

-- [Numbers]

-- The step 1, 2 or 5 times a power of ten that divides `range` into at most about `count` parts.
local function nice_step(range, count)
  local raw = range / count
  local power = 10 ^ floor(log10(raw) + 1e-9)
  for _, factor in ipairs{1, 2, 5} do
    if raw <= factor * power * (1 + 1e-9) then return factor * power end
  end
  return 10 * power
end

-- 1.2e-09 -> 1.2e-9, with as many digits as tell neighbours apart.
local function scientific(value, step)
  local digits = math.max(1, math.min(15, ceil(log10(abs(value) / step) - 1e-9) + 1))
  local text = ("%." .. digits .. "g"):format(value)
  return (text:gsub("e%+?(%-?)0*", "e%1"):gsub("^%-", "\226\136\146"))
end

-- 12345.0 -> "12,345", with the decimals that `step` needs. Thousands are marked where the axis reaches 10,000.
function axes.label(value, step, largest)
  if abs(value) < step * 1e-6 then return "0" end
  if step < 1e-6 or abs(value) >= 1e9 then return scientific(value, step) end
  local decimals = math.max(0, ceil(-log10(step) - 1e-9))
  local sign, whole, rest = ("%%.%df"):format(decimals):format(value):match("^(%-?)(%d+)(.*)$")
  if largest >= 1e4 and #whole > 3 then
    whole = whole:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  end
  return (sign == "-" and "\226\136\146" or "") .. whole .. rest               -- a real minus sign
end

-- Multiples of step from low to high: a list of {at, label}.
local function ticks_every(step, low, high)
  local ticks, largest = {}, math.max(abs(low), abs(high))
  for k = ceil(low / step - 1e-6), floor(high / step + 1e-6) do
    ticks[#ticks + 1] = {at = k * step, label = axes.label(k * step, step, largest)}
  end
  return ticks
end

--- Round numbers from low to high, about `count` of them; whole: no fractions.
function axes.linear_ticks(low, high, count, whole)
  local step = nice_step(high - low, count)
  return ticks_every(whole and math.max(1, step) or step, low, high)
end

-- Ticks at 1, 2 and 5 times the powers of ten; powers only where there are many; linear ticks within less than one.
local function log_ticks(low, high, count)
  local decades = log10(high / low)
  local factors = decades > 4 and {1} or decades > 2 and {1, 3} or {1, 2, 5}
  local ticks = {}
  local first, last = floor(log10(low) - 1e-9), ceil(log10(high) + 1e-9)
  local every = decades > 2 * count and ceil(decades / count) or 1
  for power = first, last, every do
    for _, factor in ipairs(factors) do
      local at = factor * 10 ^ power
      if at >= low * (1 - 1e-9) and at <= high * (1 + 1e-9) then
        ticks[#ticks + 1] = {at = at, label = axes.label(at, math.min(1, 10 ^ power), high)}
      end
    end
  end
  if #ticks >= 3 then return ticks end
  ticks = axes.linear_ticks(low, high, count)
  for i = #ticks, 1, -1 do
    if ticks[i].at <= 0 then table.remove(ticks, i) end
  end
  return ticks
end

-- [Dates]

local MONTHS = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}

-- Days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here: leap days come last.
local function days_of(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  local era = floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = floor((153 * (month - 3) + 2) / 5) + day - 1
  return era * 146097 + year_of_era * 365 + floor(year_of_era / 4) - floor(year_of_era / 100) + day_of_year - 719468
end

-- Year, month, day of days since 1970-01-01.
local function date_of(days)
  local shifted = floor(days) + 719468
  local era = floor(shifted / 146097)
  local day = shifted - era * 146097
  local year = floor((day - floor(day / 1460) + floor(day / 36524) - floor(day / 146096)) / 365)
  day = day - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * day + 2) / 153)
  day = day - floor((153 * month + 2) / 5) + 1
  month = month < 10 and month + 3 or month - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, day
end

--- Days since 1970-01-01 of "1981-02-28", "1981-02-28 14:30", "1981-02-28T14:30:15", "1981/2" or "1981-02"; nil for
-- anything else.
function axes.days(text)
  local year, month, rest = text:match "^%s*(%d%d%d%d)[-/](%d%d?)(.*)$"
  if not year or tonumber(month) < 1 or tonumber(month) > 12 then return nil end
  local day, time = rest:match "^[-/](%d%d?)(.*)$"
  if not day and rest ~= "" then return nil end
  local hour, minute, second = (time or ""):match "^[T ](%d%d?):(%d%d):?(%d*)"
  if time and time:find "%S" and not hour then return nil end
  return days_of(tonumber(year), tonumber(month), tonumber(day or 1)) +
    ((tonumber(hour) or 0) * 3600 + (tonumber(minute) or 0) * 60 + (tonumber(second) or 0)) / 86400
end

-- "1990", "Mar 1990", "12 Mar" or "14:30", as the step asks for.
local function date_label(at, unit)
  local year, month, day = date_of(at + 1e-7)
  if unit == "year" then return ("%d"):format(year) end
  if unit == "month" then return ("%s %d"):format(MONTHS[month], year) end
  local minutes = floor((at - floor(at + 1e-7)) * 1440 + 0.5)
  if unit == "day" or minutes == 0 then return ("%d %s"):format(day, MONTHS[month]) end
  return ("%d:%02d"):format(floor(minutes / 60), minutes % 60)
end

-- Steps in days, and in months.
local DAYS = {1 / 1440, 5 / 1440, 15 / 1440, 1 / 48, 1 / 24, 1 / 8, 0.25, 0.5, 1, 2, 7, 14}
local SPANS = {1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000, 12000}

local function month_ticks(low, high, count)
  local step
  for _, months in ipairs(SPANS) do
    step = months
    if (high - low) / (30.44 * months) <= count then break end
  end
  local year, month = date_of(low)
  local ticks, unit = {}, step >= 12 and "year" or "month"
  local k = ceil((year * 12 + month - 1) / step) * step
  while #ticks < 100 do
    local at = days_of(floor(k / 12), k % 12 + 1, 1)
    if at > high then break end
    if at >= low then ticks[#ticks + 1] = {at = at, label = date_label(at, unit)} end
    k = k + step
  end
  return ticks
end

-- Ticks at the beginnings of years, months, Mondays, days, hours or minutes, and the years that the labels do not say.
local function date_ticks(low, high, count)
  for _, step in ipairs(DAYS) do
    if (high - low) / step <= count then
      local ticks, shift = {}, step >= 7 and 4 or 0                            -- 1970-01-05 was a Monday
      for k = ceil((low - shift) / step - 1e-6), floor((high - shift) / step + 1e-6) do
        local at = k * step + shift
        ticks[#ticks + 1] = {at = at, label = date_label(at, step >= 1 and "day" or "time")}
      end
      local first, last = date_of(low), date_of(high)
      return ticks, first == last and ("%d"):format(first) or ("%d\226\128\147%d"):format(first, last)
    end
  end
  return month_ticks(low, high, count)
end

-- [Axes]

-- The smallest and largest of the finite values of `key` ("x" or "y") over all series; positive ones only for log.
local function range_of(series, key, log)
  local low, high = math.huge, -math.huge
  local function widen(list, others)
    for i = 1, #list do
      local value, other = list[i], others[i]
      if finite(value) and finite(other) and (not log or value > 0) then
        if value < low then low = value end
        if value > high then high = value end
      end
    end
  end
  for _, line in ipairs(series) do
    widen(line[key], line[key == "x" and "y" or "x"])
    if key == "y" and line.low then
      widen(line.low, line.x)
      widen(line.high, line.x)
    end
  end
  if low > high then return log and 0.1 or 0, 1 end
  return low, high
end

-- Where an axis ends above its largest value: at the tick below if that is all but reached, a little above the value if
-- it is only just beyond a tick (a whole step of nothing would flatten the rest), else at the next tick.
local function axis_end(value, step)
  local beyond = value / step - floor(value / step)
  if beyond <= 0.02 then return floor(value / step) * step end
  if beyond < 0.2 then return value + 0.03 * step end
  return ceil(value / step) * step
end

-- Whether all places on x are whole numbers, as numbers of rows and epochs are.
local function all_whole(series)
  for _, line in ipairs(series) do
    for i = 1, #line.x do
      if line.x[i] % 1 ~= 0 then return false end
    end
  end
  return #series > 0
end

-- What ticks can tell apart: a range below the last digits of its values is no range.
local function widened(low, high)
  if high - low > 1e-12 * math.max(abs(low), abs(high)) then return low, high end
  local half = low == 0 and 1 or abs(low) / 10
  return low - half, high + half
end

--- A y axis that covers the data with a little air and ends at ticks where that costs little. limits: {low, high} that
-- it ends at instead; whole: without fractions.
function axes.y(series, log, count, limits, whole)
  local low, high = range_of(series, "y", log)
  if limits then
    return {low = limits[1], high = limits[2],
      ticks = axes.linear_ticks(limits[1], limits[2], count, whole)}
  end
  if log then
    if high / low < 1 + 1e-9 then low, high = low / 2, high * 2 end
    local air = (high / low) ^ 0.05
    low, high = low / air ^ 2, high * air
    return {low = low, high = high, log = true, ticks = log_ticks(low, high, count)}
  end
  low, high = widened(low, high)
  local step = nice_step(high - low, count)
  low, high = -axis_end(-low, step), axis_end(high, step)
  return {low = low, high = high, ticks = ticks_every(step, low, high)}
end

--- An x axis; dates: values are days since 1970-01-01.
function axes.x(series, count, dates, limits)
  local low, high = range_of(series, "x")
  if limits then low, high = limits[1], limits[2] end
  if low == high then low, high = low - 1, high + 1 end
  local axis = {low = low, high = high}
  if dates then axis.ticks, axis.years = date_ticks(low, high, count)
  else axis.ticks = axes.linear_ticks(low, high, count, not limits and all_whole(series)) end
  return axis
end

--- Where a value is on its axis, 0..1.
function axes.position(axis, value)
  if axis.log then return math.log(value / axis.low) / math.log(axis.high / axis.low) end
  return (value - axis.low) / (axis.high - axis.low)
end

--- How wide the widest of the labels is, in pixels.
function axes.widest(ticks)
  local widest = 0
  for _, tick in ipairs(ticks) do widest = math.max(widest, text_width(tick.label)) end
  return widest
end

-- [Drawing]

local function draw_y(frame, out)
  local last
  for _, tick in ipairs(frame.y.ticks) do
    local y = frame.bottom - axes.position(frame.y, tick.at) * frame.height
    if not last or abs(last - y) >= FONT + 2 then                              -- labels of a low picture
      out[#out + 1] = ('<path class="grid" d="M%s %sh%s"/>'):format(px(frame.left), px(y), px(frame.width))
      out[#out + 1] = svg.text(frame.left - 9, y + 4.5, "soft", tick.label, ' text-anchor="end"')
      last = y
    end
  end
end

-- Labels stay inside the picture and leave out those that would touch the one before.
local function draw_x(frame, out)
  local taken = -math.huge
  for _, tick in ipairs(frame.x.ticks) do
    local x = frame.left + axes.position(frame.x, tick.at) * frame.width
    local half = text_width(tick.label) / 2
    local middle = math.max(frame.start + half, math.min(x, frame.edge - half))
    if x >= frame.left - 0.5 and x <= frame.left + frame.width + 0.5 and middle - half > taken then
      out[#out + 1] = ('<path class="axis" d="M%s %sv5"/>'):format(px(x), px(frame.bottom))
      out[#out + 1] = svg.text(middle, frame.bottom + 21, "soft", tick.label, ' text-anchor="middle"')
      taken = middle + half + 6
    end
  end
end

--- Grid, tick labels, axes and their names. frame: left, width, bottom, height, start and edge (how far labels may
-- reach), x and y (axes), name_x (where the name of the y axis stands). names: x, y, log.
function axes.draw(frame, names)
  local out = {}
  draw_y(frame, out)
  draw_x(frame, out)
  out[#out + 1] = ('<path class="axis" d="M%s %sh%s"/>'):format(px(frame.left), px(frame.bottom), px(frame.width))
  if names.x ~= "" then
    local middle = frame.left + frame.width / 2
    out[#out + 1] = svg.text(middle, frame.bottom + 44, "soft", svg.fit(names.x, 2 * math.min(middle,
      frame.edge - middle)), ' text-anchor="middle"')
  end
  if (names.y ~= "" or names.log) and frame.height >= 30 then
    local name = names.y .. (names.log and (names.y ~= "" and " (log scale)" or "log scale") or "")
    local x, y = frame.name_x, frame.bottom - frame.height / 2
    out[#out + 1] = svg.text(x, y, "soft", svg.fit(name, frame.height + 14),
      (' text-anchor="middle" transform="rotate(-90 %s %s)"'):format(px(x), px(y)))
  end
  return table.concat(out, "\n")
end

return axes
