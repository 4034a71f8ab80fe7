-- utf.lua: strict UTF-8, for every Lua (5.1 has no library for it).

local utf = {}

--- The length of the well-formed UTF-8 character at byte i of text, or nil (RFC 3629: no overlong forms, no
-- surrogates, nothing above U+10FFFF).
function utf.length(text, i)
  local a, b, c, d = text:byte(i, i + 3)
  local function tail(x) return x and x >= 0x80 and x <= 0xBF end
  if a < 0x80 then return 1 end
  if a >= 0xC2 and a <= 0xDF then return tail(b) and 2 or nil end
  if a >= 0xE0 and a <= 0xEF then
    local low, high = a == 0xE0 and 0xA0 or 0x80, a == 0xED and 0x9F or 0xBF
    return b and b >= low and b <= high and tail(c) and 3 or nil
  end
  if a >= 0xF0 and a <= 0xF4 then
    local low, high = a == 0xF0 and 0x90 or 0x80, a == 0xF4 and 0x8F or 0xBF
    return b and b >= low and b <= high and tail(c) and tail(d) and 4 or nil
  end
  return nil
end

--- The position of the first byte that is not UTF-8, or nil.
function utf.broken_at(text)
  local i = 1
  while true do
    i = text:find("[\128-\255]", i)
    if not i then return nil end
    local length = utf.length(text, i)
    if not length then return i end
    i = i + length
  end
end

--- Iterates over the characters of well-formed UTF-8: position, character.
function utf.characters(text)
  local i = 1
  return function()
    if i > #text then return nil end
    local at, length = i, utf.length(text, i)
    i = i + length
    return at, text:sub(at, i - 1)
  end
end

--- "line 3, column 7 (byte 52)": columns count bytes.
function utf.place(text, position)
  local before = text:sub(1, position - 1)
  local _, newlines = before:gsub("\n", "")
  local column = position - (before:match("^.*()\n") or 0)
  return ("line %d, column %d (byte %d)"):format(newlines + 1, column, position)
end

--- Whether the locale's text is UTF-8: LC_ALL, LC_CTYPE, LANG, the first that is set.
function utf.terminal()
  local locale = ""
  for _, name in ipairs{"LC_ALL", "LC_CTYPE", "LANG"} do
    if locale == "" then locale = os.getenv(name) or "" end
  end
  return locale:lower():find("utf%-?8") ~= nil
end

return utf
