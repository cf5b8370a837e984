using System.Runtime.InteropServices;

namespace Postwright.Server.Master;

/// <summary>SIGTERM and SIGINT ask for an end, SIGHUP for a reload; nothing else happens by a signal.</summary>
internal sealed class DaemonSignals : IDisposable
{
    private readonly PosixSignalRegistration[] _registrations;

    /// <summary>Takes the signals over; the callbacks run on a thread of the pool.</summary>
    public DaemonSignals(Action<int> stop, Action reload)
    {
        _registrations =
        [
            On(PosixSignal.SIGTERM, () => stop(15)),
            On(PosixSignal.SIGINT, () => stop(2)),
            On(PosixSignal.SIGHUP, reload),
        ];
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private static PosixSignalRegistration On(PosixSignal signal, Action action) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        action();
    });
}
