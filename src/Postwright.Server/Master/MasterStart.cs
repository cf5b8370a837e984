namespace Postwright.Server.Master;

/// <summary>
/// Starts master as a daemon and waits for its word: it says <c>ready</c> on a channel once clients are served; the channel's end
/// without that word is a failed start.
/// </summary>
public static class MasterStart
{
    /// <summary>The name of the channel's descriptor in master.</summary>
    public const string ReadyName = "ready";

    /// <summary>Starts it; true once it serves. False, with a reason if it could not even be started.</summary>
    /// <param name="program">Our own program.</param>
    /// <param name="configDirectory">For <c>-c</c>.</param>
    /// <param name="error">Why it could not be started, or null.</param>
    public static bool InBackground(string program, string configDirectory, out string? error)
    {
        (MasterChannel ours, int theirs) = MasterChannel.CreatePair();
        using (ours)
        {
            int process = Spawn.Start(
                new SpawnRequest(program, Trampoline.Arguments(program, ["postwright", "master", "-c", configDirectory], null, raiseFileLimit: false))
                {
                    Descriptors = [new PassedDescriptor(ReadyName, theirs)],
                    Detached = true,
                },
                out error);
            _ = MasterCalls.Close(theirs);
            return process > 0 && ours.Receive(out string word, out _) && word == Supervisor.Ready;
        }
    }
}
