/**
 * Function words of English: words that sentences cannot well end with, for LAMBADA's stop-word filter. The paper's list
 * was not published; this one is by class, and counts as part of the task's version.
 */
const CLASSES = [
  "a an the this that these those each every either neither some any no such both all other another few more most own same",
  "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself",
  "it its itself they them their theirs themselves who whom whose which what whoever whatever one",
  "am is are was were be been being have has had having do does did doing will would shall should can could may might must",
  "isn aren wasn weren haven hasn hadn don doesn didn won wouldn shan shouldn couldn mightn mustn ain s t d ll m o re ve y",
  "of at by for with about against between into through during before after above below to from up down in out on off over",
  "under upon toward towards within without across along among around behind beside beyond near onto until till since than",
  "and but or nor so yet if because as while though although unless whether when where why how again further then once",
  "here there just only very too not now also even still ever never",
];

export const STOP_WORDS: ReadonlySet<string> = new Set(CLASSES.join(" ").split(" "));
