-- core.lua -- texts for what is written in C and is no op: functions of inc, methods and fields of tensors,
-- and the words of the prompt.
--
-- Ops carry their texts in C, where the shape rule is; these functions are few, and their texts are read only
-- when somebody asks, so they stand here in the form of all others. The test of the documentation fails
-- when a name is missing here.

-- -- making tensors -----------------------------------------------------------------------------------------

--- A tensor from numbers: nested lists of one length a level, or one number (0-d).
-- @name inc.tensor
-- @param dtype 'f32' when left out; f64, bf16, f16, u8, i32, i64
-- @param requires_grad true: backward gathers its gradient
-- Rows that differ in length, and anything but numbers, are errors.
-- > inc.tensor{{1, 2}, {3, 4}}:shape()  --> {2, 2}
-- > inc.tensor(3.5):item()  --> 3.5

--- Zeros of a shape.
-- @name inc.zeros
-- @param dtype 'f32' when left out
-- @param requires_grad true: backward gathers its gradient
-- > inc.zeros{2, 3}:tolist()  --> {{0, 0, 0}, {0, 0, 0}}

--- Ones of a shape.
-- @name inc.ones
-- @param dtype 'f32' when left out
-- @param requires_grad true: backward gathers its gradient
-- > inc.ones{2, dtype = 'i64'}:tolist()  --> {1, 1}

--- One number everywhere.
-- @name inc.full
-- @param value the number
-- @param dtype 'f32' when left out
-- @param requires_grad true: backward gathers its gradient
-- > inc.full{2, value = 0.5}:tolist()  --> {0.5, 0.5}

--- Uniform in [0, 1). The numbers follow from the seed and from how many draws came before; inc.seed starts
-- again. Refused inside a plan, where it would be drawn once and replayed.
-- @name inc.rand
-- @param dtype a float, 'f32' when left out
-- @param requires_grad true: backward gathers its gradient
-- > inc.rand{2, 3}:shape()  --> {2, 3}

--- Normal with mean 0 and variance 1; else as inc.rand.
-- @name inc.randn
-- @param dtype a float, 'f32' when left out
-- @param requires_grad true: backward gathers its gradient
-- > inc.randn{8, 3, 32, 32}:dim()  --> 4

--- inc.arange{last} counts from 1; inc.arange{first, last, step}: both ends count, as in a Lua `for`.
-- @name inc.arange
-- @param dtype 'f32' when left out
-- @param requires_grad true: backward gathers its gradient
-- > inc.arange{3}:tolist()  --> {1, 2, 3}
-- > inc.arange{0, 1, 0.5}:tolist()  --> {0, 0.5, 1}

--- inc.eye(n): ones on the diagonal of an n by n matrix, n at most 100,000.
-- @name inc.eye
-- > inc.eye(2):tolist()  --> {{1, 0}, {0, 1}}

--- A picture file, JPEG or PNG by its content, upright, as a u8 tensor [3, H, W]. Alpha is laid over white. A
-- truncated or foreign file is an error that names it.
-- @name inc.image
-- > inc.image 'rose.jpg'

--- Is it a tensor?
-- @name inc.is_tensor
-- > inc.is_tensor(inc.ones{2})  --> true

-- -- modes --------------------------------------------------------------------------------------------------

--- inc.no_grad(f, ...): f's results, computed without recording gradients; for updates in place. Gradients
-- are on again afterwards even if f raises.
-- @name inc.no_grad
-- > w = inc.ones{2, requires_grad = true}
-- > inc.no_grad(function() w:sub_(0.5) end)
-- > w:tolist()  --> {0.5, 0.5}

--- Are gradients recorded? Yes, but inside inc.no_grad.
-- @name inc.grad_enabled
-- > inc.grad_enabled()  --> true

--- inc.set_grad_enabled(on): record gradients from now on or not; what it was. Prefer inc.no_grad.
-- @name inc.set_grad_enabled
-- > inc.set_grad_enabled(true)  --> true

--- inc.seed(n): start the random numbers of inc.rand, inc.randn and dropout from an integer; inc.seed() gives
-- the seed. Weights and data have seeds of their own.
-- @name inc.seed
-- > inc.seed(7)
-- > a = inc.rand{2}:tolist()
-- > inc.seed(7)
-- > inc.rand{2}:tolist()[1] == a[1]  --> true

--- inc.precision 'bf16': convolutions and products compute in bf16 from now on, everything else stays in f32;
-- 'f32' undoes it. Gives what it was.
-- @name inc.precision
-- > inc.precision()  --> f32

--- inc.threads(n): compute with n threads from now on; inc.threads() tells how many.
-- @name inc.threads
-- > inc.threads() >= 1  --> true

--- What can compute here: a list of {name =, cores =}.
-- @name inc.devices
-- > inc.devices()[1].name  --> cpu

--- What exists now: {tensors, buffers, bytes, peak_bytes, kernels, blocks}; counts, and bytes of memory.
-- @name inc.stats
-- > inc.stats().bytes > 0  --> true

--- Tensors of a safetensors file: a list of names, the tensors by name, and the metadata by name. A file that
-- is cut off or lies about its sizes is an error that says where.
-- @name inc.load
-- > names, tensors = inc.load 'a.safetensors'
-- > tensors[names[1]]

-- -- tensors ------------------------------------------------------------------------------------------------

--- The sizes, as a list.
-- @name x:shape
-- > inc.zeros{2, 3}:shape()  --> {2, 3}

--- x:size(dim): one size; dims count from 1, negative ones from the end.
-- @name x:size
-- > inc.zeros{2, 3}:size(-1)  --> 3

--- Elements from one to the next in each dim, as a list.
-- @name x:stride
-- > inc.zeros{2, 3}:stride()  --> {3, 1}

--- The number of dims.
-- @name x:dim
-- > inc.zeros{2, 3}:dim()  --> 2

--- The number of elements.
-- @name x:numel
-- > inc.zeros{2, 3}:numel()  --> 6

--- 'f32', 'bf16', 'f16', 'f64', 'u8', 'i32' or 'i64'.
-- @name x:dtype
-- > inc.zeros{2}:dtype()  --> f32

--- Where its memory is: 'cpu'.
-- @name x:device
-- > inc.zeros{2}:device()  --> cpu

--- Are the elements in row-major order without holes?
-- @name x:is_contiguous
-- > inc.zeros{2, 3}:t():is_contiguous()  --> false

--- Is it [N, C, H, W] with the channels of a pixel side by side in memory?
-- @name x:is_channels_last
-- > inc.zeros{1, 2, 3, 3}:contiguous{memory_format = 'channels_last'}:is_channels_last()  --> true

--- The number in a tensor of one element; refused while a plan is traced, when there is none.
-- @name x:item
-- > inc.tensor{{5}}:item()  --> 5.0

--- The elements as nested lists.
-- @name x:tolist
-- > (inc.ones{2} * 3):tolist()  --> {3, 3}

--- x:requires_grad_(on): want its gradient (or not, with false); the tensor itself. Floats only.
-- @name x:requires_grad_
-- > inc.ones{2}:requires_grad_().requires_grad  --> true

--- Compute the gradient of every leaf that this depends on and that wants one, and add it to its grad.
-- Without an argument x must have one element; x:backward(g) takes the gradient of x, in its shape. A graph
-- can be gone through once.
-- @name x:backward
-- > w = inc.tensor{1, 2, requires_grad = true}
-- > (w * w):sum():backward()
-- > w.grad:tolist()  --> {2, 4}

--- The same memory, through which no gradient flows.
-- @name x:detach
-- > inc.ones{2, requires_grad = true}:detach().requires_grad  --> false

--- How often the memory was written in place: what backward checks before it uses a saved tensor.
-- @name x:version
-- > inc.zeros{2}:zero_():version()  --> 1

--- What backward gathered, a tensor of x's shape, or nil; assign nil to start anew. Leaves only.
-- @name x.grad
-- > inc.ones{2, requires_grad = true}.grad  --> nil

--- Does it want a gradient, or depend on something that does?
-- @name x.requires_grad
-- > (inc.ones{2, requires_grad = true} * 2).requires_grad  --> true

-- -- the prompt ---------------------------------------------------------------------------------------------

--- help(), help 'name', help(value), or ?name at the prompt: the topics; a topic, function, op, layer, method
-- (help 'run:stop'), verb, or everything a kind of object can do (help 'run'); or what a value is. A name
-- that is not known gets the nearest one.
-- @name help
-- > help 'Conv2d'
-- > help(optim.sgd)

-- -- verbs that do not exist yet ----------------------------------------------------------------------------

--- Folders of pictures as record shards, and back: not built yet.
-- @name pack

--- Weights between safetensors and other programs' files: not built yet.
-- @name convert
