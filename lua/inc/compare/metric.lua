--- What the runs of a comparison are judged by, and how its values are written.

local metric = {}

local names = {['val.top1'] = 'top-1', ['val.top5'] = 'top-5', ['val.loss'] = 'held-out loss',
  loss = 'training loss', img_s = 'img/s'}

--- 'top-1', 'training loss': a metric in words.
function metric.name(of) return names[of] end

--- Is it a share that is read in percent?
function metric.is_share(of) return of == 'val.top1' or of == 'val.top5' end

--- Has it a value at each validation? The training loss and img/s have one a run.
function metric.is_validated(of) return of:find '^val%.' ~= nil end

--- Is more of it better?
function metric.is_higher(of) return not of:find 'loss' end

--- What a diverged run counts as, in words.
function metric.failure(of)
  if metric.is_share(of) then return 'no picture right' end
  return of == 'img_s' and 'standing still' or 'the worst loss of all'
end

return metric
