namespace Postwright.Server.Master;

/// <summary>Signals to a running master, for the postfix command.</summary>
public static class MasterSignal
{
    /// <summary>Read the configuration anew.</summary>
    public const int Hangup = MasterCalls.SignalHangup;

    /// <summary>End.</summary>
    public const int Terminate = MasterCalls.SignalTerminate;

    /// <summary>End without a say in it.</summary>
    public const int Kill = MasterCalls.SignalKill;

    /// <summary>Sends it; false if there is no such process, or it is not ours to signal.</summary>
    /// <param name="process">From master.pid.</param>
    /// <param name="signal">Which.</param>
    /// <param name="wholeGroup">To its children too, if it leads a process group (a started one does; one in the foreground may not).</param>
    public static bool Send(int process, int signal, bool wholeGroup) =>
        (wholeGroup && MasterCalls.Kill(-process, signal) == 0) || MasterCalls.Kill(process, signal) == 0;
}
