/**
 * Built-in examples of prompts. The paper shows their form but not the examples; these were written for this project (CC0),
 * and are covered by an evaluation's version.
 */
import type { Pair } from "./pairs.js";

/** English sentences in the style of news, and their French translations. */
export const TRANSLATIONS: readonly (readonly [english: string, french: string])[] = [
  ["The talks will start again on Monday.", "Les discussions reprendront lundi."],
  [
    "The government announced a plan to build new schools in the north of the country.",
    "Le gouvernement a annoncé un projet de construction de nouvelles écoles dans le nord du pays.",
  ],
  [
    '"We had never seen so much rain," said a farmer.',
    "« Nous n'avions jamais vu autant de pluie », a déclaré un agriculteur.",
  ],
  [
    "Two people were slightly hurt in the accident, according to the police.",
    "Deux personnes ont été légèrement blessées dans l'accident, selon la police.",
  ],
  ["Where does the money come from?", "D'où vient l'argent ?"],
  [
    "The company, which employs 1,200 people, opened its first factory in 1987.",
    "L'entreprise, qui emploie 1 200 personnes, a ouvert sa première usine en 1987.",
  ],
];

/** Questions as typed into a search engine, without a question mark, and short answers. */
export const QUESTIONS: readonly Pair[] = [
  ["who wrote the play romeo and juliet", "William Shakespeare"],
  ["what is the capital of australia", "Canberra"],
  ["when did the second world war end", "1945"],
  ["how many strings does a violin have", "four"],
  ["where is the eiffel tower located", "Paris, France"],
  ["who painted the mona lisa", "Leonardo da Vinci"],
  ["what is the largest planet in the solar system", "Jupiter"],
  ["when was the first moon landing", "July 20, 1969"],
];
