-- matrix.lua: the picture of a confusion matrix.

local core = require "lstm.core"
local svg = require "lstm.svg"

local matrix = {}

local px, text_width = svg.px, svg.text_width

--- Checks {labels =, counts = array or lists [K][K]}. Returns {labels, counts (lists), rows, columns (sums), total,
-- right}.
function matrix.read(given, where)
  local labels, counts = type(given) == "table" and given.labels, type(given) == "table" and given.counts
  if type(labels) ~= "table" or not counts then
    core.raise(where .. ": a confusion matrix is {labels = list of names, counts = array [K][K]}")
  end
  local k = #labels
  if k == 0 then core.raise(where .. ": there are no classes") end
  if type(counts) == "userdata" then
    local rows, columns, more = counts:shape()
    if rows ~= k or columns ~= k or more then
      core.raise(("%s: %d labels need counts of %d x %d, got %s"):format(where, k, k, k,
        table.concat({counts:shape()}, " x ")))
    end
    counts = counts:totable()
  end
  local read = {labels = {}, counts = counts, rows = {}, columns = {}, total = 0, right = 0}
  for i = 1, k do
    read.labels[i] = svg.clean(labels[i])
    if type(counts[i]) ~= "table" or #counts[i] ~= k then
      core.raise(("%s: row %d of counts must have %d numbers"):format(where, i, k))
    end
    for j = 1, k do
      local count = counts[i][j]
      if type(count) ~= "number" or not (count >= 0 and count < math.huge) then
        core.raise(("%s: counts[%d][%d] must be a number of at least 0, got %s"):format(where, i, j, tostring(count)))
      end
      read.rows[i] = (read.rows[i] or 0) + count
      read.columns[j] = (read.columns[j] or 0) + count
      read.total = read.total + count
    end
    read.right = read.right + counts[i][i]
  end
  return read
end

-- 1234567 -> "1.2M" where six figures do not fit.
local function short(count, room, size)
  local text = ("%.0f"):format(count)
  if text_width(text, size) <= room then return text end
  for _, unit in ipairs{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} do
    if count >= unit[1] then return ("%.2g"):format(count / unit[1]):gsub("e%+?0*(%d)$", "e%1") .. unit[2] end
  end
  return text
end

local function percent(part, whole, digits)
  if whole == 0 then return "\226\128\147" end                                 -- a class that never occurs
  local text, least = ("%." .. (digits or 0) .. "f"):format(100 * part / whole), 10 ^ -(digits or 0)
  if tonumber(text) == 100 and part < whole then text = (">%g"):format(100 - least) end
  if tonumber(text) == 0 and part > 0 then text = ("<%g"):format(least) end
  return text .. "%"
end

-- Sizes: the side of a field, the font of its count, room for the names.
local function measure(read, opts)
  local k = #read.labels
  local cell = k <= 6 and 76 or k <= 12 and 56 or k <= 20 and 40 or math.max(26, math.floor(900 / k))
  local size = {names = 0, font = cell >= 50 and 13 or cell >= 32 and 11 or 9, right = 64}
  for _, label in ipairs(read.labels) do size.names = math.max(size.names, text_width(label)) end
  size.names = math.min(size.names, 170)
  size.left = 20 + 24 + size.names + 10
  if opts.width then cell = math.max(14, (opts.width - size.left - size.right - 20) / k) end
  size.cell = cell
  size.turned = size.names + 10 > cell
  size.head = size.turned and size.names + 14 or 22
  return size
end

-- A name above a column, turned where it is too long to lie.
local function column_name(x, y, name, size)
  name = svg.fit(name, size.names)
  if not size.turned then return svg.text(x, y - 8, "ink", name, ' text-anchor="middle"') end
  local at = (' transform="rotate(-90 %s %s)"'):format(px(x + 4.5), px(y - 8))
  return svg.text(x + 4.5, y - 8, "ink", name, at)
end

-- One field: darker the larger its share of the row; the count, and the share where there is room.
local function field(x, y, read, i, j, size)
  local count, sum = read.counts[i][j], read.rows[i]
  local share = sum > 0 and count / sum or 0
  local side = px(size.cell - 2)
  local rect = ('<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="3"%s><title>%s</title></rect>'):format(
    count > 0 and (i == j and "f1" or "f2") or "empty", px(x), px(y), side, side,
    count > 0 and (' fill-opacity="%.2f"'):format(0.08 + 0.92 * share) or "",
    svg.escape(("%s taken for %s: %.0f of %.0f (%s)"):format(read.labels[i], read.labels[j], count, sum,
      percent(count, sum, 1))))
  if count == 0 or size.cell < 18 then return rect end
  local class = (share > 0.55 and "on" or "ink") .. (size.font == 11 and " small" or size.font == 9 and " tiny" or "")
  local middle, base = x + size.cell / 2 - 1, y + size.cell / 2 + size.font * 0.36 - 1
  local text = short(count, size.cell - 6, size.font)
  if size.cell < 50 then return rect .. svg.text(middle, base, class, text, ' text-anchor="middle"') end
  return rect .. svg.text(middle, base - 7, class, text, ' text-anchor="middle"') .. svg.text(middle, base + 10,
    (share > 0.55 and "on" or "ink") .. " small", percent(count, sum), ' text-anchor="middle"')
end

-- The fields and names, then recall on the right and precision below.
local function draw_fields(read, size, top, out)
  local k, cell, left = #read.labels, size.cell, size.left
  local small = cell >= 40 and " small" or " tiny"
  local right, bottom = left + k * cell + 8, top + k * cell
  for i = 1, k do
    local y = top + (i - 1) * cell
    out[#out + 1] = svg.text(left - 10, y + cell / 2 + 4, "ink", svg.fit(read.labels[i], size.names),
      ' text-anchor="end"')
    out[#out + 1] = column_name(left + (i - 0.5) * cell - 1, top, read.labels[i], size)
    for j = 1, k do out[#out + 1] = field(left + (j - 1) * cell, y, read, i, j, size) end
    out[#out + 1] = svg.text(right, y + cell / 2 + 4, "soft small", percent(read.counts[i][i], read.rows[i]))
    out[#out + 1] = svg.text(left + (i - 0.5) * cell - 1, bottom + 15, "soft" .. small,
      percent(read.counts[i][i], read.columns[i]), ' text-anchor="middle"')
  end
  out[#out + 1] = svg.text(right, top - 8, "soft small", "recall")
  out[#out + 1] = svg.text(left - 10, bottom + 15, "soft small", "precision", ' text-anchor="end"')
end

--- The picture of what read returned. opts: title, width, inline; heading: draws the title, returns where it ends.
function matrix.draw(read, opts, heading)
  local k, out, size = #read.labels, {}, measure(read, opts)
  local table_width = size.left + k * size.cell + size.right
  opts.width = math.max(opts.width or 0, math.ceil(table_width), 320)
  local y = heading(opts, out) + 4
  out[#out + 1] = svg.text(20, y, "soft", svg.fit(("%.0f examples, %s right"):format(read.total, percent(read.right,
    read.total, 1)), opts.width - 40))
  y = y + 26
  local middle = size.left + k * size.cell / 2
  out[#out + 1] = svg.text(middle, y, "soft", "guessed", ' text-anchor="middle"')
  local top = y + size.head + 8
  out[#out + 1] = svg.text(30, top + k * size.cell / 2, "soft", "true",
    (' text-anchor="middle" transform="rotate(-90 30 %s)"'):format(px(top + k * size.cell / 2)))
  draw_fields(read, size, top, out)
  opts.height, opts.what, opts.colors = math.ceil(top + k * size.cell + 34), "confusion matrix", 2
  return svg.document(opts, out)
end

return matrix
