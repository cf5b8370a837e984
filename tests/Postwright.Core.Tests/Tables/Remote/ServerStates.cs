using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>A server slow, down, and back, while a table asks it.</summary>
internal static class ServerStates
{
    /// <summary>Takes the server through its states.</summary>
    /// <param name="rig">The table's.</param>
    /// <param name="server">The server.</param>
    /// <param name="table">The table, without a time limit of its own.</param>
    /// <param name="key">A key with a value.</param>
    /// <param name="value">The value.</param>
    /// <param name="refill">Gives a server that was started again its content; null where it keeps it.</param>
    /// <param name="signal">What asks the server for a quick end.</param>
    public static async Task RunAsync(RemoteRig rig, RealServer server, string table, string key, string value, Func<Task>? refill = null, string signal = "TERM")
    {
        // A busy machine may take two seconds for an answer: of the quick table it is waited for, as after a failure.
        string quick = table + "{timeout=2s}";
        table += "{timeout=50s}";
        Assert.Equal(value, await rig.AskAsync(table, key));
        await BackAsync(rig, quick, key, value);
        await server.SuspendAsync();
        Assert.Equal("!", await rig.AskAsync(quick, key));
        Assert.Contains(rig.Log.All, static line => line.Contains("no answer within 2 s", StringComparison.Ordinal));
        await server.ResumeAsync();
        await BackAsync(rig, quick, key, value);

        await server.StopAsync(signal);
        Assert.Equal("!", await rig.AskAsync(quick, key));
        Assert.Equal("!", await rig.AskAsync(table, key));
        await server.StartAsync();
        await (refill?.Invoke() ?? Task.CompletedTask);
        await BackAsync(rig, quick, key, value);
        await BackAsync(rig, table, key, value);

        // Stopped and started while nobody asked: not even an error.
        await server.StopAsync(signal);
        await server.StartAsync();
        await (refill?.Invoke() ?? Task.CompletedTask);
        Assert.Equal(value, await rig.AskAsync(table, key));
    }

    /// <summary>A scripted server that is held answers again, goes down, and comes back; the rig's clock is moved.</summary>
    public static async Task BackTwiceAsync(RemoteRig rig, TableServer server, string table, string key, string value)
    {
        server.Release();
        rig.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(value, await rig.AskAsync(table, key));
        await server.StopAsync();
        Assert.Equal("!", await rig.AskAsync(table, key));
        server.Start();
        rig.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(value, await rig.AskAsync(table, key));
    }

    private static async Task BackAsync(RemoteRig rig, string table, string key, string value)
    {
        string answer;
        for (int i = 0; (answer = await rig.AskAsync(table, key)) != value; i++)
        {
            Assert.True(i < 300 && answer == "!", $"the table does not come back: {answer}");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }
}
