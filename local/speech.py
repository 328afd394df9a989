import os, sys, json, threading, uuid, urllib.request, urllib.parse, io, time
from concurrent.futures import ThreadPoolExecutor
import grpc, av
from google.cloud.speech_v2 import types as T
from google.longrunning import operations_pb2 as L
from google.protobuf import json_format
from pocketsphinx import Decoder, Endpointer
B=os.environ['STORAGE_EMULATOR_HOST']; OPS={}
dec=Decoder(samprate=16000, loglevel='FATAL'); lock=threading.Lock()
def words(pcm, base):
    with lock:
        dec.start_utt(); dec.process_raw(pcm, full_utt=True); dec.end_utt()
        lm=dec.get_logmath()
        return [dict(word=s.word.split('(')[0],startOffset=f"{base+s.start_frame/100:.3f}s",endOffset=f"{base+s.end_frame/100+.01:.3f}s",confidence=min(1.0,lm.exp(s.prob)) ) for s in dec.seg() if s.word[0] not in '<[']
def decode(data):
    out=b''
    with av.open(io.BytesIO(data)) as c:
        r=av.AudioResampler(format='s16',layout='mono',rate=16000)
        for f in c.decode(audio=0):
            for p in r.resample(f): out+=p.to_ndarray().tobytes()
        for p in r.resample(None): out+=p.to_ndarray().tobytes()
    return out
def recognize(pcm):
    ep=Endpointer(sample_rate=16000); n=ep.frame_bytes; buf=b''; start=0; res=[]
    def flush(end):
        nonlocal buf
        w=words(buf,start); buf=b''
        if w: res.append(dict(alternatives=[dict(transcript=' '.join(x['word'] for x in w),words=w,confidence=sum(x['confidence'] for x in w)/len(w))],resultEndOffset=f"{end:.3f}s",languageCode='en-us'))
    for i in range(0,len(pcm),n):
        fr=pcm[i:i+n]; was=ep.in_speech
        sp=ep.process(fr) if len(fr)==n else ep.end_stream(fr)
        if sp is not None:
            if not was and not buf: start=ep.speech_start
            buf+=sp
            if not ep.in_speech: flush(ep.speech_end)
    if buf: flush(len(pcm)/32000)
    return res
def get(uri):
    b,n=uri[5:].split('/',1)
    return urllib.request.urlopen(f"{B}/storage/v1/b/{b}/o/{urllib.parse.quote(n,safe='')}?alt=media").read()
def put(uri,data):
    b,n=uri[5:].split('/',1)
    urllib.request.urlopen(urllib.request.Request(f"{B}/upload/storage/v1/b/{b}/o?uploadType=media&name={urllib.parse.quote(n,safe='')}",data=data,headers={'Content-Type':'application/json'},method='POST')).read()
def batch(req,ctx):
    name=req.recognizer.rsplit('/',2)[0]+'/operations/'+uuid.uuid4().hex
    op=L.Operation(name=name); op.metadata.Pack(T.OperationMetadata.pb()(progress_percent=10)); OPS[name]=op
    uri=req.files[0].uri; out=req.recognition_output_config.gcs_output_config.uri
    def work():
        try:
            r=recognize(decode(get(uri)))
            put(f"{out}/{uri.rsplit('/',1)[1]}_transcript_{uuid.uuid4().hex[:8]}.json",json.dumps({'results':r}).encode())
            op.response.Pack(T.BatchRecognizeResponse.pb()()); op.done=True
        except Exception as e:
            op.error.code=13; op.error.message=str(e); op.done=True; print(repr(e),flush=True)
    threading.Thread(target=work,daemon=True).start()
    return op
def getop(req,ctx):
    if req.name not in OPS: ctx.abort(grpc.StatusCode.NOT_FOUND,'no')
    return OPS[req.name]
def stream(it,ctx):
    first=next(it); buf=b''; pos=0
    d=Decoder(samprate=16000,loglevel='FATAL'); d.start_utt(); last=''
    for r in it:
        d.process_raw(r.audio); h=d.hyp(); pos+=len(r.audio)/32000
        if h and h.hypstr!=last:
            last=h.hypstr
            yield T.StreamingRecognizeResponse.pb()(results=[dict(alternatives=[dict(transcript=h.hypstr)],is_final=False)])
    d.end_utt()
    ws=[s for s in d.seg() if s.word[0] not in '<[']
    if ws:
        from datetime import timedelta
        m=T.StreamingRecognizeResponse(results=[dict(alternatives=[dict(transcript=' '.join(s.word for s in ws),words=[dict(word=s.word,start_offset=timedelta(seconds=s.start_frame/100),end_offset=timedelta(seconds=s.end_frame/100),confidence=.5) for s in ws])],is_final=True,result_end_offset=timedelta(seconds=pos))])
        yield T.StreamingRecognizeResponse.pb(m)
s=grpc.server(ThreadPoolExecutor(8))
h=lambda m,r: grpc.unary_unary_rpc_method_handler(m,request_deserializer=r.FromString,response_serializer=lambda a:a.SerializeToString())
s.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('google.cloud.speech.v2.Speech',{'BatchRecognize':h(batch,T.BatchRecognizeRequest.pb()),'StreamingRecognize':grpc.stream_stream_rpc_method_handler(stream,request_deserializer=T.StreamingRecognizeRequest.pb().FromString,response_serializer=lambda a:a.SerializeToString())}),
 grpc.method_handlers_generic_handler('google.longrunning.Operations',{'GetOperation':h(getop,L.GetOperationRequest)})))
s.add_insecure_port(f"127.0.0.1:{sys.argv[1]}"); s.start(); s.wait_for_termination()
