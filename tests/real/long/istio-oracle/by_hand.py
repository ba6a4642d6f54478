#!/usr/bin/env python3
"""by_hand.py ORACLE >cases-by-hand.jsonl: sets of objects made by hand, for what the random ones do not hold, with Istio's answers.

ORACLE is the program that `go build` makes of this folder.
"""
import json, subprocess, sys, tempfile

n=[0]
def meta(ns,name,labels=None,at=0):
    n[0]+=1
    m={"name":name,"creationTimestamp":"2026-01-01T00:%02d:00Z"%at,"uid":str(n[0]),"resourceVersion":str(n[0])}
    if ns: m["namespace"]=ns
    if labels: m["labels"]=labels
    return m
def world(sidecars=(True,True),headless=False,client_ns="web",ready=(True,True)):
    o=[{"apiVersion":"v1","kind":"Namespace","metadata":meta(None,x)} for x in ("istio-system","shop","web","other")]
    def pod(ns,name,app,ver,ip,sa,side,ready=True):
        l={"app":app}
        if ver: l["version"]=ver
        if side: l["security.istio.io/tlsMode"]="istio"
        cs=[{"name":"app","ports":[{"containerPort":8080}]}]
        if side: cs.append({"name":"istio-proxy"})
        return {"apiVersion":"v1","kind":"Pod","metadata":meta(ns,name,l),"spec":{"serviceAccountName":sa,"containers":cs},
          "status":{"phase":"Running","podIP":ip,"podIPs":[{"ip":ip}],"conditions":[{"type":"Ready","status":"True" if ready else "False"}]}}
    o.append(pod("shop","r1","reviews","v1","10.0.0.1","reviews",sidecars[0],ready[0]))
    o.append(pod("shop","r2","reviews","v2","10.0.0.2","reviews-v2",sidecars[1],ready[1]))
    o.append(pod(client_ns,"client","sleep",None,"10.0.0.9","sleep",True))
    o.append(pod(client_ns,"client2","curl",None,"10.0.0.8","curl",True))
    o.append({"apiVersion":"v1","kind":"Service","metadata":meta("shop","reviews"),"spec":{"clusterIP":"None" if headless else "10.96.0.1","selector":{"app":"reviews"},
      "ports":[{"name":"http","port":80,"targetPort":8080,"protocol":"TCP"},{"name":"tcp-x","port":81,"targetPort":8081,"protocol":"TCP"}]}})
    o.append({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","metadata":meta("shop","reviews-a",{"kubernetes.io/service-name":"reviews"}),
      "ports":[{"name":"http","port":8080,"protocol":"TCP"},{"name":"tcp-x","port":8081,"protocol":"TCP"}],
      "endpoints":[{"addresses":["10.0.0.%d"%i],"conditions":{"ready":ready[i-1],"serving":ready[i-1],"terminating":False},"targetRef":{"kind":"Pod","name":"r%d"%i,"namespace":"shop"}} for i in (1,2)]})
    return o
H="reviews.shop.svc.cluster.local"
def dr(ns,name,spec,at=0): return {"apiVersion":"networking.istio.io/v1","kind":"DestinationRule","metadata":meta(ns,name,None,at),"spec":{"host":H,**spec}}
def pa(ns,name,spec,at=0): return {"apiVersion":"security.istio.io/v1","kind":"PeerAuthentication","metadata":meta(ns,name,None,at),"spec":spec}
def tls(m,**k): return {"tls":{"mode":m,**k}}

MESH=lambda y:{"apiVersion":"v1","kind":"ConfigMap","metadata":meta("istio-system","istio"),"data":{"mesh":y}}
def ann(o,k,v):
    for x in o:
        if x["kind"]=="Service": x["metadata"].setdefault("annotations",{})[k]=v
    return o
def cond(o,i,**k):
    for x in o:
        if x["kind"]=="EndpointSlice": x["endpoints"][i]["conditions"]=k
    return o
S={}
for v in ("~",".","web","shop, web","*","other"): S["service exported to "+v]=ann(world(),"networking.istio.io/exportTo",v)
S["mesh exports services to their namespace"]=world()+[MESH("rootNamespace: istio-system\ndefaultServiceExportTo: ['.']\n")]
S["mesh exports services to all, service to none"]=ann(world()+[MESH("defaultServiceExportTo: ['*']\n")],"networking.istio.io/exportTo","~")
S["terminating"]=cond(world(),0,ready=False,serving=True,terminating=True)
S["not ready, conditions unknown"]=cond(world(),1,ready=False)
S["not ready, not terminating"]=cond(world(),1,ready=False,terminating=False)
S["conditions unknown"]=cond(world(),1)
od=lambda n:{"outlierDetection":{"minHealthPercent":n}}
S["minHealthPercent"]=cond(world(),1,ready=False,serving=False,terminating=False)+[dr("shop","a",{"trafficPolicy":od(50)})]
S["minHealthPercent 0"]=cond(world(),1,ready=False,serving=False,terminating=False)+[dr("shop","a",{"trafficPolicy":od(0)})]
S["minHealthPercent of the port"]=cond(world(),1,ready=False,serving=False,terminating=False)+[dr("shop","a",{"trafficPolicy":{"portLevelSettings":[{"port":{"number":81},**od(50)}]}})]
S["minHealthPercent of the subset"]=cond(world(),1,ready=False,serving=False,terminating=False)+[dr("shop","a",{"subsets":[{"name":"v2","labels":{"version":"v2"},"trafficPolicy":od(10)}]})]
S["canonical accounts"]=ann(world()+[MESH("trustDomain: td1\ntrustDomainAliases: [old]\n")],"alpha.istio.io/canonical-serviceaccounts","spiffe://x.test/ns/a/sa/b,me@example.org")
S["kubernetes accounts"]=ann(world()+[MESH("trustDomain: td1\ntrustDomainAliases: [old]\n")],"alpha.istio.io/kubernetes-serviceaccounts","vm,vm2")
S["both accounts, rule"]=ann(world()+[dr("shop","a",{"trafficPolicy":tls("ISTIO_MUTUAL")})],"alpha.istio.io/canonical-serviceaccounts","spiffe://x.test/ns/a/sa/b")
S["credential of a ConfigMap"]=world()+[dr("shop","a",{"trafficPolicy":tls("SIMPLE",credentialName="configmap://shop/ca")})]
S["skip verify with SANs"]=world()+[dr("shop","a",{"trafficPolicy":tls("SIMPLE",insecureSkipVerify=True,subjectAltNames=["spiffe://a/b"],caCertificates="/c")})]
S["ISTIO_MUTUAL skip verify"]=world()+[dr("shop","a",{"trafficPolicy":tls("ISTIO_MUTUAL",insecureSkipVerify=True)})]
S["credential, selector, skip verify"]=world()+[dr("web","a",{"workloadSelector":{"matchLabels":{"app":"sleep"}},"trafficPolicy":tls("SIMPLE",credentialName="c",insecureSkipVerify=True,subjectAltNames=["x"])})]
S["mode left out"]=world()+[dr("shop","a",{"trafficPolicy":{"tls":{}}})]
S["SNI like Istio's own"]=world()+[dr("shop","a",{"trafficPolicy":tls("ISTIO_MUTUAL",sni="outbound_.80_._.x.y")})]
S["another root namespace"]=world()+[MESH("rootNamespace: other\n"),pa("other","default",{"mtls":{"mode":"DISABLE"}}),dr("other","a",{"trafficPolicy":tls("SIMPLE")})]
S["another root namespace, rule of istio-system"]=world()+[MESH("rootNamespace: other\n"),pa("istio-system","default",{"mtls":{"mode":"STRICT"}}),dr("istio-system","a",{"trafficPolicy":tls("SIMPLE")})]
w=world()
for x in w:
    if x["kind"]=="Service": x["spec"]["ports"].append({"name":"dns","port":53,"protocol":"UDP","targetPort":53})
S["UDP port"]=w
w=world()
for x in w:
    if x["kind"]=="Pod" and x["metadata"]["name"]=="r1": x["metadata"]["labels"]["security.istio.io/tlsMode"]="other"
S["unknown tlsMode"]=w
w=world(headless=True)
for x in w:
    if x["kind"]=="Pod" and x["metadata"]["name"]=="r1": x["metadata"]["labels"]["security.istio.io/tlsMode"]="other"
S["unknown tlsMode, headless"]=w
w=world()
for x in w:
    if x["kind"]=="Service": x["spec"]["ports"]=[{"port":80,"protocol":"TCP","targetPort":8080}]
    if x["kind"]=="EndpointSlice": x["ports"]=[{"name":"","port":8080,"protocol":"TCP"}]
S["port without a name"]=w
S["empty selector of a rule"]=world()+[dr("web","a",{"workloadSelector":{},"trafficPolicy":tls("DISABLE")})]
S["mesh without auto mTLS, STRICT"]=world()+[MESH("enableAutoMtls: false\n"),pa("shop","default",{"mtls":{"mode":"STRICT"}})]
S["exportTo of two, default private"]=world()+[MESH("defaultDestinationRuleExportTo: ['.']\n"),dr("shop","a",{"trafficPolicy":tls("DISABLE")}),dr("shop","b",{"exportTo":["web"],"trafficPolicy":tls("SIMPLE")},1)]
S["wildcard and longer wildcard"]=world()+[{**dr("web","a",{}),"spec":{"host":"*.local","trafficPolicy":tls("DISABLE")}},{**dr("web","b",{}),"spec":{"host":"*.shop.svc.cluster.local","trafficPolicy":tls("SIMPLE")}}]
S["wildcard without a dot"]=world()+[{**dr("web","a",{}),"spec":{"host":"*cluster.local","trafficPolicy":tls("DISABLE")}}]

for i, (title, objects) in enumerate(S.items()):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump({"objects": objects}, f)
        f.flush()
        r = subprocess.run([sys.argv[1], "-in", f.name], capture_output=True, text=True)
    if r.returncode:  # Istio's own validation, or a Service that the oracle cannot wait for
        print("left out:", title, r.stderr.strip().splitlines()[0][:160], file=sys.stderr)
        continue
    case = json.loads(r.stdout)
    case["seed"], case["tags"] = 2000000 + i, [title]
    print(json.dumps(case, separators=(",", ":")))
