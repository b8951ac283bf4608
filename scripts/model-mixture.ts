import { numel } from "../src/architectures/tensor-spec.js";
import { openCheckpoint } from "../src/pretrained/node.js";

/** Configuration and tensors of the model in a folder, in f32. */
export async function readModel(folder: string) {
  const { config, tensors, close } = await openCheckpoint(folder);
  const read = [...tensors.values()].map((tensor) => {
    const data = new Float32Array(numel(tensor.shape));
    tensor.readInto(data);
    return { name: tensor.name, shape: tensor.shape, data };
  });
  close();
  return { config, tensors: read };
}

/** A weighted mean of two models' weights: `share` of the second, the rest of the first. */
export async function mixture(first: string, second: string, share: number): ReturnType<typeof readModel> {
  const [model, other] = [await readModel(first), await readModel(second)];
  for (const [i, { data }] of model.tensors.entries()) {
    const more = other.tensors[i]!.data;
    for (let j = 0; j < data.length; j++) data[j] = (1 - share) * data[j]! + share * more[j]!;
  }
  return model;
}
