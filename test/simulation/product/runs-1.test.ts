import { runHalf } from './runs.ts';

runHalf(1);
