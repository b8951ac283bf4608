/** A file of a data set that its publisher, or a public copy, serves at a permanent address. */
export interface PublishedFile {
  readonly url: string;
  /** Hexadecimal. */
  readonly sha256: string;
}

const github = (repository: string, commit: string, path: string): string =>
  `https://raw.githubusercontent.com/${repository}/${commit}/${path}`;

const NATURAL_QUESTIONS = [
  "google-research-datasets/natural-questions",
  "fb26a3073b1fe636c97302890a27b491d6530130",
] as const;

/**
 * Downloadable files by the path that tasks read. Not listed: sets with terms to accept first (Penn Treebank), large
 * archives, and files whose checksum we could not establish.
 */
export const PUBLISHED: Readonly<Record<string, PublishedFile>> = {
  "lambada/lambada_test.jsonl": {
    url: "https://openaipublic.blob.core.windows.net/gpt-2/data/lambada_test.jsonl",
    sha256: "4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226",
  },
  "wikitext-2/test.txt": {
    url: github(
      "pytorch/examples",
      "cada773327ba94a5970e0d57c17c847d69dbbb8f",
      "word_language_model/data/wikitext-2/test.txt",
    ),
    sha256: "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
  },
  "wikitext-2/valid.txt": {
    url: github(
      "pytorch/examples",
      "37ce9402ff0cae48d764d7788810fd2ed8238b25",
      "word_language_model/data/wikitext-2/valid.txt",
    ),
    sha256: "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
  },
  "wsc273/wsc273.txt": {
    url: github("vid-koci/bert-commonsense", "93dd70d3418d4c67df81308e0383039b99d1e5e8", "data/wsc273.txt"),
    sha256: "43103428d77df28b1bb37156eaf3c43a954a02b5dc7ff72453f5c54abf394bad",
  },
  "nq_open/NQ-open.dev.jsonl": {
    url: github(...NATURAL_QUESTIONS, "nq_open/NQ-open.dev.jsonl"),
    sha256: "f15567f38099f3615f5b8a685c0aef449c11ad90d3da3735e8d1b98115b40616",
  },
  "nq_open/NQ-open.efficientqa.dev.1.1.jsonl": {
    url: github(...NATURAL_QUESTIONS, "nq_open/NQ-open.efficientqa.dev.1.1.jsonl"),
    sha256: "0ad45e2fa9fd32d10b3cf08c63e6d22f97ba1a0ce44ea98040f4c18bce7e268d",
  },
  "nq_open/NQ-open.efficientqa.test.1.1.jsonl": {
    url: github(...NATURAL_QUESTIONS, "nq_open/NQ-open.efficientqa.test.1.1.jsonl"),
    sha256: "c37b3cb2069632dfef219fa770d7910ac77ff6d12a08e8f3d5f058b388aca8a6",
  },
  "hellaswag/hellaswag_val_full.txt.bz2": {
    url: github("klosax/hellaswag_text_data", "60a646bd806bce22dcb2eb6d4fadb12f1472aa4c", "hellaswag_val_full.txt.bz2"),
    sha256: "50b637899e4263c2bc456c2dc726c95d2c8cd8e2a552ea5bd7719ce3cb03fe5b",
  },
  "blimp/BLiMP.zip": {
    url: github("alexwarstadt/blimp", "f5949a22b36a0e3a90b9932d4abe35ca77c5e8c8", "BLiMP.zip"),
    sha256: "172a1a714d72e72a89e8384dd531483f3d0f8a9aee3d33dccaf7992d8cecbb73",
  },
};
