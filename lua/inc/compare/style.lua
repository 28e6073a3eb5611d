--- Style sheet and script of a comparison's page: one file that needs no network, on a phone, a desk and
-- paper.
--
-- Colours are variables: eight that colour-blind readers can tell apart (after Okabe and Ito), lighter ones
-- in the
-- dark; verdicts are words first, colour only underlines them. The script sorts tables, and opens what is
-- folded
-- before printing; without it everything is still there to read.

local style = {}

style.css = [[
:root{--bg:#fff;--fg:#1b1f24;--soft:#5b6470;--line:#d9dee4;--card:#f6f8fa;--shade:#0003;--good:#0a7d4f;
--bad:#b3261e;--warn:#8a5a00;
--c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#a23b84;--c5:#8a6d00;--c6:#3a9bdc;--c7:#444b54;--c8:#e0447c}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ed;--soft:#9aa4b0;--line:#333a42;
--card:#1c2127;
--shade:#fff3;--good:#4cc38a;--bad:#ff8177;--warn:#e3b341;--c1:#5ab4f0;--c2:#ff9a4d;--c3:#3ddc97;
--c4:#e087c6;--c5:#e5c93a;--c6:#9ad4ff;
--c7:#c3cad2;--c8:#ff85ad}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1240px;padding:20px 16px 48px;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 4px}h2{font-size:1.1rem;margin:32px 0 8px}
p{margin:6px 0}.soft,figcaption,.note{color:var(--soft);font-size:.88rem}
.headline{font-size:1.1rem;font-weight:600;margin:12px 0}
.cards{display:grid;gap:10px;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));margin:16px 0}
.card{background:var(--card);border-left:5px solid var(--soft);border-radius:4px;padding:10px 14px}
.card b{font-size:1.05rem}.card.better{border-color:var(--good)}.card.worse{border-color:var(--bad)}
.card .word{font-weight:700}.better .word{color:var(--good)}.worse .word{color:var(--bad)}
ul.warn{margin:8px 0;padding:8px 12px 8px 30px;border:1px solid var(--warn);border-radius:4px;
font-size:.92rem}
.wrap{overflow-x:auto;
background:linear-gradient(to left,var(--bg) 40%,transparent) right/48px 100% no-repeat local,
linear-gradient(to left,var(--shade),transparent) right/16px 100% no-repeat}
table{border-collapse:separate;border-spacing:0;font-size:.86rem;
font-variant-numeric:tabular-nums;min-width:100%;
overflow-wrap:normal}
th,td{padding:6px 8px;text-align:right;white-space:nowrap;
vertical-align:top}
th{font-weight:600;color:var(--soft);vertical-align:bottom}
td{border-top:1px solid var(--line)}
tbody tr:last-child td{border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--bg);padding-left:0}
td:first-child{font-weight:600}td.text,th.text{text-align:left}td.text{white-space:normal;
min-width:5.5em}td small{display:block;color:var(--soft)}
th button{all:unset;cursor:pointer;font:inherit;color:inherit}
th button:focus-visible{outline:2px solid var(--c1)}
th[aria-sort=ascending] button:after{content:" \2191"}th[aria-sort=descending] button:after{content:" \2193"}
.chip{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}
.name{display:block;min-width:6.5em;padding-left:16px;text-indent:-16px}
.name .chip{text-indent:0}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:.9rem;margin:4px 0}
.plots{display:grid;gap:20px;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr))}
figure{margin:0}figure h3{font-size:.95rem;margin:0 0 2px}svg{display:block;width:100%;height:auto}
svg text{font-size:12px;fill:var(--soft)}svg .mid{text-anchor:middle}svg .end{text-anchor:end}
svg .row{fill:var(--fg);
font-size:12px}
.grid{stroke:var(--line);stroke-width:1}.zero{stroke:var(--fg);stroke-width:1.2}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.thin{stroke-width:1}.band{stroke:none;opacity:.16}
.whisker{stroke-width:4;opacity:.35;stroke-linecap:round}.seed{opacity:.55}svg .cross{font-size:16px;
font-weight:700;
text-anchor:middle}
@media(max-width:520px){svg text,svg .row{font-size:13px}}
@media(min-width:1000px){svg text,svg .row{font-size:10px}.name{min-width:10em}}
details{margin:14px 0}summary{cursor:pointer;font-weight:600}
@page{margin:14mm}
@media print{:root{--bg:#fff;--fg:#000;--soft:#444;--line:#bbb;--card:#fff;--shade:#0000;--good:#0a7d4f;
--bad:#b3261e;--warn:#666;
--c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#a23b84;--c5:#8a6d00;--c6:#3a9bdc;--c7:#444b54;--c8:#e0447c}
html{font-size:12px}body{max-width:none;padding:0;font-size:10pt}
.legend{break-after:avoid}.wrap{overflow:visible}table{font-size:7pt}th,td{padding:3px 4px}
th,td.text{white-space:normal;min-width:0}
.card{border:1px solid #999;border-left-width:5px}figure,.card,tr{break-inside:avoid}h2{break-after:avoid}
.plots{grid-template-columns:1fr 1fr}th button:after{content:""!important}}
]]

for i = 1, 8 do
  style.css = style.css .. ('.c%d{stroke:var(--c%d);fill:var(--c%d)}.k%d{background:var(--c%d)}\n'):format(i,
    i, i, i, i)
end
style.css = style.css .. [[
.line{fill:none}svg circle,svg rect,svg .cross{stroke:none}
]]

style.js = [[
document.querySelectorAll('table.sort').forEach(function(t){
  var body=t.tBodies[0];
  t.querySelectorAll('th').forEach(function(th,k){
    var b=document.createElement('button');b.type='button';b.textContent=th.textContent;
    th.textContent='';th.appendChild(b);
    b.addEventListener('click',function(){
      var was=th.getAttribute('aria-sort'),up=was==='descending'||(!was&&th.dataset.first==='up');
      t.querySelectorAll('th').forEach(function(o){o.removeAttribute('aria-sort')});
      th.setAttribute('aria-sort',up?'ascending':'descending');
      Array.from(body.rows).sort(function(a,c){
        var x=a.cells[k].dataset.v||a.cells[k].textContent,y=c.cells[k].dataset.v||c.cells[k].textContent;
        var n=parseFloat(x),m=parseFloat(y);
        var d=isNaN(n)&&isNaN(m)?x.localeCompare(y):isNaN(n)?1:isNaN(m)?-1:n-m;
        if(isNaN(n)!==isNaN(m))return d;
        return up?d:-d;
      }).forEach(function(r){body.appendChild(r)});
    });
  });
});
window.addEventListener('beforeprint',function(){
  document.querySelectorAll('details').forEach(function(d){d.open=true});
});
]]

return style
