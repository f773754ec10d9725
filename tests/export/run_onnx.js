// node run_onnx.js MODULES MODEL FOLDER N,C,H,W...
// Runs MODEL in ONNX Runtime on FOLDER/input.f32 (little-endian floats) for each shape, one after
// another in that file, and writes the outputs of run i to FOLDER/<i>.<name>.f32 and their shapes
// to FOLDER/outputs.txt, a line each: "<i> <name> <dims>". MODULES holds node_modules.
const fs = require('fs');
const path = require('path');
const ort =
    require('module').createRequire(path.resolve(process.argv[2], 'package.json'))('onnxruntime-node');

async function main([, , , model, folder, ...shapes]) {
  // Without x64quantprecision sums of int8 products saturate on processors without VNNI.
  const session = await ort.InferenceSession.create(
      model, {intraOpNumThreads: 1, interOpNumThreads: 1, extra: {session: {x64quantprecision: '1'}}});
  const bytes = fs.readFileSync(path.join(folder, 'input.f32'));
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let begin = 0;
  let lines = '';
  for (let i = 0; i < shapes.length; ++i) {
    const dims = shapes[i].split(',').map(Number);
    const count = dims.reduce((a, b) => a * b, 1);
    const feeds = {[session.inputNames[0]]: new ort.Tensor('float32', values.slice(begin, begin + count), dims)};
    begin += count;
    const outputs = await session.run(feeds);
    for (const name of session.outputNames) {
      const {data, dims: shape} = outputs[name];
      fs.writeFileSync(path.join(folder, `${i}.${name}.f32`), Buffer.from(data.buffer, data.byteOffset, data.byteLength));
      lines += `${i} ${name} ${shape.join(',')}\n`;
    }
  }
  fs.writeFileSync(path.join(folder, 'outputs.txt'), lines);
}

main(process.argv).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
