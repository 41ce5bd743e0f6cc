import { openEngine } from "./gpu.js";
import { attention } from "../../../src_js/engine/ops/attention.js";
import { linear } from "../../../src_js/engine/ops/linear.js";
for (const prec of ["f32","f16"]) {
const e = await openEngine(prec);
console.log(e.info);
const p = e.program("t");
const a = p.tensor(70, 48, "f32"), q = p.tensor(70, 48), k=p.tensor(70,48), v = p.tensor(70,48), o=p.tensor(70,48), out=p.tensor(70,48,"f32");
const rnd = (n)=>Float32Array.from({length:n},()=>Math.random()*2-1);
const A=rnd(70*48); e.upload(a,A);
const W=rnd(48*48); const wb=e.device.createBuffer({size:W.byteLength,usage:GPUBufferUsage.STORAGE|GPUBufferUsage.COPY_DST}); e.device.queue.writeBuffer(wb,0,W);
const w={name:"w",shape:[48,48],format:"f32",blockSize:0,stride:48,scaleStride:0,zeroStride:0,parts:[{rowStart:0,rowCount:48,values:{buffer:wb,offset:0,size:W.byteLength},scales:undefined,zeroPoints:undefined}]};
linear(p,a,w,q); linear(p,a,w,k); linear(p,a,w,v);
attention(p,q,k,v,o,{headDim:16,causal:true});
linear(p,o,w,out);
await p.build(); await e.run(p);
const qv=await e.read(q);
const mm=(x,r)=>{const y=new Float64Array(r*48);for(let i=0;i<r;i++)for(let j=0;j<48;j++){let s=0;for(let t=0;t<48;t++)s+=x[i*48+t]*W[j*48+t];y[i*48+j]=s;}return y;};
const Q=mm(A,70); let err=0; for(let i=0;i<Q.length;i++)err=Math.max(err,Math.abs(Q[i]-qv[i])); console.log("linear",err);
const O=new Float64Array(70*48); for(let h=0;h<3;h++)for(let i=0;i<70;i++){const s=[];for(let j=0;j<=i;j++){let d=0;for(let t=0;t<16;t++)d+=Q[i*48+h*16+t]*Q[j*48+h*16+t];s.push(d/4);}const m=Math.max(...s);const ex=s.map(x=>Math.exp(x-m));const z=ex.reduce((x,y)=>x+y);for(let t=0;t<16;t++){let d=0;for(let j=0;j<=i;j++)d+=ex[j]/z*Q[j*48+h*16+t];O[i*48+h*16+t]=d;}}
const ov=await e.read(o); err=0; for(let i=0;i<O.length;i++)err=Math.max(err,Math.abs(O[i]-ov[i])); console.log("attn",err);
e.destroy();
}
