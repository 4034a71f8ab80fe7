-- program.lua: what programs that train have in common; scripts/chars.lua and scripts/forecast.lua are made with it.
--
--   local program = require "lstm.program"(opt, given, unkept)
--
-- opt, given: what lstm.args returned; unkept: names of the options that a resumed run is to be told again.

local args = require "lstm.args"
local plot = require "lstm.plot"

local Program = {}
Program.__index = Program

--- The value, or the program ends with the sentence that came instead.
function Program.need(value, message)
  if not value then args.stop(message) end
  return value
end

--- A line on stderr, unless --verbose 0.
function Program:say(...)
  if self.opt.verbose > 0 then io.stderr:write(string.format(...), "\n") end
end

--- Ends the program where a file named by one of these options cannot be written, before hours of work.
function Program:check_writable(names)
  for _, name in ipairs(names) do self.need(args.writable("--" .. name:gsub("_", "-"), self.opt[name])) end
end

--- Says so where nothing will be saved.
function Program:warn_unsaved()
  local opt = self.opt
  if not (opt.out or opt.checkpoint or opt.resume) then
    self:say("nothing will be saved: --out FILE keeps the model, --checkpoint FILE the run")
  end
end

--- Where a checkpoint's run stands, in training steps, and whether a look is due there; nil for a mere model.
function Program.position_of(model)
  local strings = model.core:meta()
  return tonumber(strings["fit.position"] or ""), strings["fit.due"] ~= nil
end

--- Ends the program where an option was given that differs from what made the file; those named in `free` may.
function Program:check_conflict(path, text, free)
  local now, before = args.conflict(self.opt, self.given, text, free)
  if now then args.stop(("%s conflicts with %s, which %s was made with"):format(now, before, path)) end
end

--- With --load only the options named in `useful` mean something.
function Program:check_load_options(useful)
  local means = {}
  for _, name in ipairs(useful) do means[name] = true end
  for name in pairs(self.given) do
    if not means[name] then
      args.stop(("%s has no effect with --load, which does not train; to train on, use --resume with a checkpoint")
        :format(name == "file" and "FILE" or "--" .. name:gsub("_", "-")))
    end
  end
end

-- After Ctrl-C: what is saved, and how to go on.
local function stop_interrupted(self, message)
  local opt = self.opt
  local path = opt.checkpoint or opt.resume
  message = message:gsub(", resume with.*", "")
  if path then
    message = message .. "; go on with " .. args.command({opt.file, "--resume", path}, opt, self.given, self.unkept)
  elseif opt.out then
    message = message .. ("; the best model so far is in %s, but without --checkpoint the run cannot go on"):format(
      opt.out)
  else
    message = message .. "; nothing was saved: --out keeps the model, --checkpoint the run"
  end
  args.stop(message, 130)
end

--- Trains, saves --out and draws --loss-plot (with `style`, options of plot.history), also after Ctrl-C.
-- Returns the history, or ends the program with the sentence of what stopped it, in the script's own words.
function Program:fit(model, train, options, style)
  local opt = self.opt
  local history, message, status, record = model:fit(train, options)
  if not history and status ~= "interrupted" then
    args.stop((message:gsub("^fit: ", ""):gsub("a smaller lr, or clip", "a smaller --lr, or --clip")))
  end
  if opt.out then
    self.need(model:save(opt.out))
    self:say("model: %s", opt.out)
  end
  record = history or record
  if opt.loss_plot and record and #record > 0 then
    self.need(plot.history(record, opt.loss_plot, style))
    self:say("plot: %s", opt.loss_plot)
  end
  if not history then stop_interrupted(self, message) end
  return history
end

return function(opt, given, unkept) return setmetatable({opt = opt, given = given, unkept = unkept}, Program) end
