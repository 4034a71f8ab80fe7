---@meta lstm
-- lstm.d.lua: what `require "lstm"` offers, for editors (lua-language-server: add this folder to workspace.library).
-- tests/lua/stubs.lua keeps it equal to what is exported.

---@class lstm
---@field version string
local lstm = {}

-- --- arrays and files ------------------------------------------------------------------------------------------------

---@alias lstm.Kind "float32"|"int32"

---Numbers in one block of memory, row-major, up to four axes. `#a`: the first size; `a[i]`: a number or a row (a view).
---@class lstm.Array
---@operator add(lstm.Array|number): lstm.Array
---@operator sub(lstm.Array|number): lstm.Array
---@operator mul(lstm.Array|number): lstm.Array
---@operator div(lstm.Array|number): lstm.Array
---@operator unm: lstm.Array
---@field [integer] number|lstm.Array
local Array = {}
---@return integer ...
function Array:shape() end
---@return lstm.Kind
function Array:kind() end
---A view of elements from..to along the first axis, both included; negative counts from the end.
---@param from integer
---@param to? integer
---@return lstm.Array
function Array:slice(from, to) end
---A copy of column j of an array with two axes.
---@param j integer
---@return lstm.Array
function Array:column(j) end
---A view with another shape.
---@param shape integer[]
---@return lstm.Array
function Array:reshape(shape) end
---@return lstm.Array
function Array:copy() end
---@return string
function Array:bytes() end
---@return table
function Array:totable() end
---@param value number
---@return lstm.Array self
function Array:fill(value) end
---@param axis? 1|2
---@return number|lstm.Array
function Array:sum(axis) end
---@param axis? 1|2
---@return number|lstm.Array
function Array:mean(axis) end
---@param axis? 1|2
---@return number|lstm.Array
function Array:min(axis) end
---@param axis? 1|2
---@return number|lstm.Array
function Array:max(axis) end
---@return integer place, number value
function Array:argmax() end
---@return boolean finite, integer? place of the first NaN or infinity
function Array:finite() end

---@param values number|table nested tables of one shape
---@param kind? lstm.Kind
---@return lstm.Array
function lstm.array(values, kind) end
---@param shape integer|integer[]
---@param kind? lstm.Kind
---@return lstm.Array
function lstm.zeros(shape, kind) end
---@param bytes string
---@param kind? lstm.Kind
---@param shape? integer[]
---@return lstm.Array
function lstm.frombytes(bytes, kind, shape) end

---@param path string
---@return string? bytes, string? message, string? status
function lstm.readfile(path) end
---The file appears whole or not at all.
---@param path string
---@param bytes string
---@return true?, string? message, string? status
function lstm.writefile(path, bytes) end

-- --- data ------------------------------------------------------------------------------------------------------------

---@class lstm.Tokens
---@field kind "tokens"
---@field ids lstm.Array int32, from 0
---@field vocab lstm.Vocab

---@class lstm.Vocab
---@field kind "bytes"|"utf8"

---@class lstm.Table
---@field kind "table"
---@field data lstm.Array
---@field columns string[]
---@field width integer

---@class lstm.Windows
---@field kind "windows"
---@field look_back integer
---@field ahead integer
---@field width integer
---@field outputs integer

---@class lstm.Scaler

---The symbols of a text. Raises for an empty text.
---@param text string
---@param kind? "bytes"|"utf8"
---@return lstm.Vocab
function lstm.vocab(text, kind) end
---@param path string
---@param options? table
---@return lstm.Table?, string? message, string? status
function lstm.csv(path, options) end
---@param data lstm.Array|table
---@param columns? string[]
---@return lstm.Table
function lstm.table(data, columns) end
---@param rows lstm.Table
---@return lstm.Scaler
function lstm.minmax(rows) end
---@param rows lstm.Table
---@return lstm.Scaler
function lstm.zscore(rows) end
---Root of the mean squared difference.
---@param a lstm.Array
---@param b lstm.Array
---@return number
function lstm.rmse(a, b) end

-- --- models ----------------------------------------------------------------------------------------------------------

---@class lstm.Layer

---@alias lstm.Loss "mse"|"cross_entropy"|"binary_cross_entropy"

---@class lstm.ModelOptions
---@field input integer|lstm.Vocab
---@field output? integer|lstm.Vocab|string[]
---@field hidden? integer|integer[]
---@field layers? integer
---@field dropout? number
---@field embedding? integer
---@field read? "all"|"last"
---@field loss? lstm.Loss
---@field init? "default"|"pytorch"|"zero"|lstm.Model
---@field seed? integer
---@field isa? string
---@field meta? table
---@field [integer] lstm.Layer

---@class lstm.FitOptions
---@field validation? any
---@field validate_every? integer
---@field seq? integer
---@field batch? integer
---@field steps? integer
---@field epochs? number
---@field seconds? number
---@field optimizer? "adam"|"adamw"|"rmsprop"|"sgd"
---@field lr? number
---@field momentum? number
---@field beta1? number
---@field beta2? number
---@field alpha? number
---@field epsilon? number
---@field weight_decay? number
---@field clip? number
---@field clip_value? number
---@field loss? lstm.Loss
---@field shuffle? boolean
---@field seed? integer
---@field threads? integer
---@field checkpoint? string
---@field resume? string|boolean
---@field patience? integer
---@field min_delta? number
---@field monitor? string
---@field verbose? 0|1|2
---@field title? string
---@field on_epoch? fun(row: table, history: lstm.History, trainer: lstm.Trainer): boolean?
---@field on_step? fun(info: table, trainer: lstm.Trainer): boolean?

---@class lstm.Model
---@field loss lstm.Loss
---@field vocab? lstm.Vocab
---@field output_vocab? lstm.Vocab
---@field labels? string[]
---@field meta table
---@field assumed? string
local Model = {}
---@param train any tokens, windows, or {x =, y =}
---@param options? lstm.FitOptions
---@return lstm.History?, string? message, string? status, lstm.History? partial
function Model:fit(train, options) end
---@param data any
---@param options? {batch: integer}
---@return lstm.Array
function Model:predict(data, options) end
---@param data any
---@param options? {batch: integer, loss: lstm.Loss}
---@return {loss: number, count: number, accuracy: number?}
function Model:evaluate(data, options) end
---@param options? {prime: string, length: integer, temperature: number, seed: integer, state: lstm.State}
---@return fun(): string?
function Model:generate(options) end
---@param options? table as for generate
---@return string
function Model:sample(options) end
---@param lanes? integer
---@return lstm.State
function Model:state(lanes) end
---@param lanes integer
---@return lstm.State
function Model:batch_state(lanes) end
---@param options? table
---@return lstm.Trainer
function Model:trainer(options) end
---@param path string
---@return true?, string? message, string? status
function Model:save(path) end
---@return string
function Model:bytes() end
---@return table<string, string>
function Model:strings() end
---@return lstm.Model
function Model:clone() end
---@return integer
function Model:parameters() end
---@return string[]
function Model:tensors() end
---@param name string
---@param value? lstm.Array
---@return lstm.Array?
function Model:tensor(name, value) end
---@return string
function Model:isa() end
---@param label string
---@return integer?
function Model:index(label) end
---@param i integer
---@return string|integer
function Model:label(i) end
function Model:close() end

---@class lstm.State
local State = {}
---Numbers in, numbers out; an array in, an array out; a symbol or its number in, probabilities out.
---@param ... number|string|lstm.Array
---@return any ...
function State:step(...) end
---@param id integer from 0
function State:feed(id) end
---@return lstm.Array
function State:output() end
---@param lane? integer
---@return string|integer label, number probability
function State:best(lane) end
---@param lane? integer
---@return integer place, number value
function State:argmax(lane) end
---@param temperature number
---@param rng lstm.Rng
---@return integer place
function State:sample(temperature, rng) end
---@param x lstm.Array
---@return lstm.Array
function State:forward(x) end
---@param x lstm.Array
---@param options? table
---@return lstm.Array
function State:forward_batch(x, options) end
---@param x lstm.Array
---@param y lstm.Array
---@param loss lstm.Loss
---@param options? table
---@return number loss, number weight, number targets, number correct
function State:evaluate(x, y, loss, options) end
---@param lane? integer
---@return lstm.State self
function State:reset(lane) end
---@param lane? integer
---@return lstm.Array
function State:values(lane) end
---@param values lstm.Array
---@param lane? integer
---@return lstm.State self
function State:set_values(values, lane) end
---@return integer
function State:lanes() end
---@return lstm.State
function State:clone() end
---@return string
function State:bytes() end
---@param bytes string
---@return true?, string? message, string? status
function State:restore(bytes) end
---@return lstm.Model
function State:model() end
function State:close() end

---@class lstm.Trainer
local Trainer = {}
---@param x lstm.Array [T][B][I], or ids [T][B]
---@param y lstm.Array [T][B][O], or ids [T][B]
---@param options? {lengths: lstm.Array, weights: lstm.Array, reset: boolean|lstm.Array, initial: lstm.Array}
---@return number? loss, string? message, string? status
function Trainer:train(x, y, options) end
---@return lstm.Array
function Trainer:final() end
function Trainer:reset() end
---@return integer
function Trainer:steps() end
---@param rate? number
---@return number
function Trainer:lr(rate) end
---@return number
function Trainer:norm() end
function Trainer:keep_best() end
function Trainer:restore_best() end
---@param path string
---@param meta? table<string, string>
---@return true?, string? message, string? status
function Trainer:save(path, meta) end
---@param bytes string
---@return true?, string? message, string? status
function Trainer:resume(bytes) end
---@return lstm.Model
function Trainer:model() end
function Trainer:close() end

---@class lstm.History
---@field best? integer
---@field stopped? string
---@field [integer] table

---@param options lstm.ModelOptions
---@return lstm.Model
function lstm.model(options) end
---@param path string|table
---@param options? {data: string, layers: lstm.Layer[], prefixes: table, isa: string, allow_not_finite: boolean}
---@return lstm.Model?, string? message, string? status
function lstm.load(path, options) end
---@param size integer|table
---@return lstm.Layer
function lstm.embedding(size) end
---@param size integer|table
---@return lstm.Layer
function lstm.lstm(size) end
---@param size integer|table
---@return lstm.Layer
function lstm.dense(size) end
---@param rate number
---@return lstm.Layer
function lstm.dropout(rate) end

-- --- the rest --------------------------------------------------------------------------------------------------------

---@class lstm.Rng
local Rng = {}
---@param n integer
---@return integer from 1 to n
function Rng:index(n) end
---@return number
function Rng:uniform() end
---@param array lstm.Array int32
---@return lstm.Array
function Rng:shuffle(array) end
---@return integer seed, integer counter
function Rng:state() end

---@param seed integer
---@param counter? integer
---@return lstm.Rng
function lstm.rng(seed, counter) end
---The seed of everything that is made without one of its own from here on.
---@param seed integer
function lstm.seed(seed) end
---@param n? integer
---@return integer
function lstm.threads(n) end
---@param name? string
---@return string
function lstm.isa(name) end
---@return string[]
function lstm.isas() end
---@param spec table
---@return table
function lstm.args(spec) end
lstm.plot = {}
lstm.progress = {}
lstm.history = {}

return lstm
