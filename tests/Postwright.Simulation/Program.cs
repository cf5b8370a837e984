using Postwright.Simulation;
using Postwright.Simulation.Mutations;
using Xunit.Runner.InProc.SystemConsole;

// One program, three uses: the simulator's own command, the planted faults that it must find, and the runner of the tests beside it.
return args switch
{
    ["simulate", ..] => SimulateCommand.Run(args[1..]),
    ["mutate", ..] => MutateCommand.Run(args[1..]),
    _ => await ConsoleRunner.Run(args),
};
