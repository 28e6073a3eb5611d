"""Goldens of lua/inc/compare/stats.lua."""
import json, numpy as np, scipy, scipy.stats as st
rng=np.random.default_rng(5)
out={'made_by':f'scripts/golden/compare_stats.py, scipy {scipy.__version__}, numpy {np.__version__}, seed 5'}
out['t_p']=[[float(t),int(df),float(2*st.t.sf(abs(t),df))] for t,df in [(0.1,1),(1,2),(4.3,2),(12,2),(-2.5,4),(3,9),(0.7,30),(6,100)]]
out['t_critical']=[[a,df,float(st.t.isf(a/2,df))] for a,df in [(.05,1),(.05,2),(.05,4),(.05,9),(.01,2),(.05,120),(.5,3)]]
out['normal_p']=[[z,float(2*st.norm.sf(z))] for z in [.1,1,1.96,3,5]]
out['paired']=[]
for n in (3,5,10):
    a,b=rng.normal(.8,.02,n),rng.normal(.79,.02,n)
    r=st.ttest_rel(a,b); ci=r.confidence_interval(.95)
    out['paired'].append({'a':a.tolist(),'b':b.tolist(),'t':float(r.statistic),'p':float(r.pvalue),'low':float(ci.low),'high':float(ci.high)})
out['mcnemar']=[[b,c,float(st.binomtest(b,b+c,.5).pvalue) if b+c else 1.0] for b,c in [(0,0),(1,8),(0,5),(3,3),(12,25),(100,140),(1500,1620)]]
out['interval']=[]
for n in (3,7):
    a=rng.normal(0,1,n); lo,hi=st.t.interval(.95,n-1,a.mean(),st.sem(a))
    out['interval'].append({'a':a.tolist(),'low':float(lo),'high':float(hi)})
ps=[.01,.04,.03,.005,.5]
# Holm by its definition: sorted p times what is left, running maximum
o=sorted(range(5),key=lambda i:ps[i]); run=0; holm=[0]*5
for r,i in enumerate(o): run=max(run,min(1,ps[i]*(5-r))); holm[i]=run
out['holm']={'p':ps,'adjusted':holm}
r=rng.random((3,2,40))<.7
d=(r[:,0].astype(float)-r[:,1]).mean(0); z=d.mean()/(d.std(ddof=1)/np.sqrt(40))
out['clustered']={'right':r.astype(int).tolist(),'p':float(2*st.norm.sf(abs(z)))}
print(json.dumps(out))
