using Postwright.Simulation;
using Xunit.Runner.InProc.SystemConsole;

// One program, two uses: the simulator's own command, and the runner of the tests beside it.
return args is ["simulate", ..] ? SimulateCommand.Run(args[1..]) : await ConsoleRunner.Run(args);
