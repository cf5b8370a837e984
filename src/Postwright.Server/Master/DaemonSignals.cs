using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Postwright.Server.Master;

/// <summary>
/// SIGTERM and SIGINT ask for an end, SIGHUP for a reload; nothing else happens by a signal. Taken over before master.pid is
/// locked, since from then on commands may send them: one that comes early waits here.
/// </summary>
public sealed class DaemonSignals : IDisposable
{
    private readonly Channel<int> _received = Channel.CreateBounded<int>(
        new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly PosixSignalRegistration[] _registrations;

    /// <summary>Takes them over.</summary>
    public DaemonSignals() => _registrations =
    [
        On(PosixSignal.SIGTERM, MasterCalls.SignalTerminate),
        On(PosixSignal.SIGINT, 2),
        On(PosixSignal.SIGHUP, MasterCalls.SignalHangup),
    ];

    /// <summary>Their numbers, in order.</summary>
    public ChannelReader<int> Received => _received.Reader;

    /// <summary>Whether a number asks for a reload; any other asks for an end.</summary>
    public static bool IsReload(int signal) => signal == MasterCalls.SignalHangup;

    /// <summary>Puts a number of our own among them.</summary>
    internal void Raise(int number) => _received.Writer.TryWrite(number);

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private PosixSignalRegistration On(PosixSignal signal, int number) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        Raise(number);
    });
}
