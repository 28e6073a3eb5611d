-- What luacheck may assume: Lua 5.4 plus the names that incsh itself puts in the global table.
std = 'lua54'
max_line_length = 110
max_cyclomatic_complexity = 15
unused_args = false
read_globals = {
  'inc', 'nn', 'optim', 'data', 'models', 'recipes', 'help',
  'train', 'resume', 'evaluate', 'predict', 'compare', 'pack', 'convert', 'inspect', 'runs', 'diff',
  'bench', 'doctor',
}
-- Examples are typed at the prompt, where names without `local` are the custom.
files['examples'] = {allow_defined_top = true, ignore = {'111', '113', '131'}}
-- The harness gives these to every spec.
files['tests'] = {
  read_globals = {'check', 'skip', 'tmp', 'sh', 'shared', 'quote', 'write_file', 'read_file', 'incsh',
    'make_pictures',
    test = {fields = {'slow'}}},
  max_cyclomatic_complexity = 25,
}
-- The shell's tests see the terminal driver and change globals on purpose.
files['tests/shell'] = {read_globals = {'term'}}
exclude_files = {'tests/golden'}
files['tests/harness.lua'] = {ignore = {'431', '432'}}
