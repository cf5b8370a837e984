using System.Collections.Concurrent;
using System.Diagnostics.Tracing;

namespace Postwright.Bench.EndToEnd;

/// <summary>
/// What is allocated, by type. The runtime samples each byte with a chance of 1 in 102,400, so an object of n bytes stands for
/// 1 / (1 - (1 - 1/102400)^n) objects of its type; totals of many samples are right, small shares are not.
/// </summary>
internal sealed class AllocationSamples : EventListener
{
    private const string RuntimeEvents = "Microsoft-Windows-DotNETRuntime";
    private const EventKeywords Sampling = (EventKeywords)0x800_0000_0000;
    private const int SampledEvent = 303;
    private const double Chance = 1.0 / 102_400;

    private readonly ConcurrentDictionary<string, (double Objects, double Bytes)> _types = [];
    private EventSource? _runtime;

    /// <summary>By type: estimated objects and bytes.</summary>
    public IReadOnlyDictionary<string, (double Objects, double Bytes)> Types => _types;

    /// <summary>Starts counting.</summary>
    public void Start() => EnableEvents(_runtime ?? throw new InvalidOperationException("the runtime has no events"), EventLevel.Informational, Sampling);

    /// <summary>Stops counting.</summary>
    public void Stop() => DisableEvents(_runtime!);

    /// <inheritdoc />
    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == RuntimeEvents)
        {
            _runtime = eventSource;
        }
    }

    /// <inheritdoc />
    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (eventData.EventId != SampledEvent || eventData.PayloadNames is not { } names || eventData.Payload is not { } payload)
        {
            return;
        }

        double size = Convert.ToDouble(payload[names.IndexOf("ObjectSize")], System.Globalization.CultureInfo.InvariantCulture);
        string type = payload[names.IndexOf("TypeName")] as string is { Length: > 0 } name ? name : "?";
        double objects = 1 / (1 - Math.Pow(1 - Chance, size));
        _types.AddOrUpdate(type, (objects, objects * size), (_, sum) => (sum.Objects + objects, sum.Bytes + (objects * size)));
    }
}
